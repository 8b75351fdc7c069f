import { Modal } from "@mantine/core";
import { createSpotlight, Spotlight } from "@mantine/spotlight";
import { IconSearch, IconServer, IconShield } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useNavigate } from "react-router";
import { groupSummaries, instanceSummaries } from "../api/queries";
import { useCaller } from "./caller";
import classes from "./Palette.module.css";
import { places } from "./places";

const [store, palette] = createSpotlight();

export const openPalette = palette.open;

const shown = 6; // of each kind

// Palette finds pages, groups and instances by what is typed.
export function Palette() {
  const [query, setQuery] = useState("");
  return (
    <Spotlight.Root
      store={store}
      query={query}
      onQueryChange={setQuery}
      lockScroll={false}
      shortcut="mod + K"
      scrollable
      maxHeight={440}
    >
      <Modal.Title className={classes.unseen}>Where to?</Modal.Title>
      <Spotlight.Search
        placeholder="Where to? A page, a group, an instance, an address"
        aria-label="Where to?"
        leftSection={<IconSearch size={18} />}
      />
      <Spotlight.ActionsList>
        <Results query={query} />
      </Spotlight.ActionsList>
    </Spotlight.Root>
  );
}

function Results({ query }: { query: string }) {
  const navigate = useNavigate();
  const { operator } = useCaller();
  const groups = useQuery({ ...groupSummaries(query, 0, shown), enabled: query !== "" });
  const instances = useQuery({ ...instanceSummaries(query, undefined, 0, shown), enabled: query !== "" });
  const wanted = places.filter(
    (p) => (operator || !p.operator) && `${p.title} ${p.answers}`.toLowerCase().includes(query.toLowerCase()),
  );
  const found = query ? [...(groups.data?.["security-groups"] ?? []), ...(instances.data?.instances ?? [])] : [];
  return (
    <>
      {wanted.map(({ path, title, answers, Icon }) => (
        <Spotlight.Action
          key={path}
          label={title}
          description={answers}
          leftSection={<Icon size={20} />}
          onClick={() => void navigate(path)}
        />
      ))}
      {found.map((item) => {
        const isGroup = "members" in item;
        return (
          <Spotlight.Action
            key={item.id}
            label={item.name}
            description={isGroup ? item.description || "group" : (item["public-ip"] ?? "instance")}
            leftSection={isGroup ? <IconShield size={20} /> : <IconServer size={20} />}
            onClick={() => void navigate(`/${isGroup ? "groups" : "instances"}/${item.id}`)}
          />
        );
      })}
      {wanted.length + found.length === 0 && <Spotlight.Empty>Nothing has “{query}” in it.</Spotlight.Empty>}
    </>
  );
}
