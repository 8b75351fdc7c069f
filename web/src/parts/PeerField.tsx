import { Autocomplete, type AutocompleteProps } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { groupSummaries } from "../api/queries";
import type { NewRule } from "../api/types";
import { useCaller } from "../shell/caller";
import { networkOf } from "../words/network";
import { networkWords } from "../words/rule";

type PeerFieldProps = Omit<AutocompleteProps, "data" | "value" | "onChange"> & {
  value: string;
  onChange: (value: string) => void;
};

// PeerField takes whom a rule means: a network, a group's name, or the caller's own address.
export function PeerField({ value, onChange, ...props }: PeerFieldProps) {
  const [search] = useDebouncedValue(networkOf(value) ? "" : value, 150);
  const groups = useQuery(groupSummaries(search, 0, 20));
  const networks = useNetworks();
  const names = groups.data?.["security-groups"].map((g) => g.name).filter((name) => !networkOf(name)) ?? [];
  return (
    <Autocomplete
      {...props}
      value={value}
      onChange={onChange}
      placeholder="203.0.113.0/24, or a group"
      data={[
        { group: "Networks", items: networks },
        { group: "Groups", items: names },
      ]}
      renderOption={({ option }) => <span>{optionWords(option.value, networks)}</span>}
      filter={({ options }) => options}
      maxDropdownHeight={320}
      comboboxProps={{ withinPortal: true }}
    />
  );
}

function useNetworks(): string[] {
  const own = useOwnAddress();
  return [...(own ? [own] : []), "0.0.0.0/0", "::/0"];
}

// useOwnAddress is where the caller comes from as a network, unless that is the server's own machine.
export function useOwnAddress(): string | undefined {
  const { address } = useCaller();
  if (!address || address === "::1" || address.startsWith("127.")) return undefined;
  return networkOf(address);
}

function optionWords(value: string, networks: string[]): string {
  if (!networks.includes(value)) return value;
  return value.endsWith("/0") ? `${networkWords(value)}: ${value}` : `My address: ${value}`;
}

// peerOf is what was written as a rule's peer: a network if it reads like one, else a group's name.
export function peerOf(text: string): Pick<NewRule, "network" | "security-group"> | undefined {
  const network = networkOf(text);
  if (network) return { network };
  return text.trim() ? { "security-group": { name: text.trim() } } : undefined;
}
