import { MultiSelect, type MultiSelectProps } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { groupSummaries } from "../api/queries";
import type { Reference } from "../api/types";

type GroupPickerProps = Omit<MultiSelectProps, "data" | "value" | "onChange"> & {
  value: Reference[];
  onChange: (groups: Reference[]) => void;
};

// GroupPicker takes groups, found by name among as many as there are.
export function GroupPicker({ value, onChange, ...props }: GroupPickerProps) {
  const [typed, setTyped] = useState("");
  const [search] = useDebouncedValue(typed, 150);
  const { data } = useQuery(groupSummaries(search, 0, 50));
  const known = new Map([...value, ...(data?.["security-groups"] ?? [])].map((g) => [g.id, g.name]));
  return (
    <MultiSelect
      {...props}
      searchable
      searchValue={typed}
      onSearchChange={setTyped}
      value={value.map((g) => g.id)}
      onChange={(ids) => onChange(ids.map((id) => ({ id, name: known.get(id) ?? id })))}
      data={[...known].map(([value, label]) => ({ value, label }))}
      filter={({ options }) => options}
      nothingFoundMessage="No group has that in its name"
    />
  );
}
