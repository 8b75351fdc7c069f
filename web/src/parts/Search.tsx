import { TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useState } from "react";
import { useParam } from "./param";

const pause = 150; // until typing is taken to have ended, in milliseconds

// Search is a page's search field. What is searched is in the URL.
export function Search({ label }: { label: string }) {
  const [search, setSearch] = useParam("search");
  const [typed, setTyped] = useState(search);
  const settle = useDebouncedCallback(setSearch, pause);
  return (
    <TextInput
      type="search"
      value={typed}
      onChange={(e) => {
        setTyped(e.currentTarget.value);
        settle(e.currentTarget.value);
      }}
      aria-label={label}
      placeholder={label}
      leftSection={<IconSearch size={16} />}
      data-shortcut="search"
      miw={0}
      flex="1 1 auto"
      w={280}
      maw={420}
    />
  );
}
