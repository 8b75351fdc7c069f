import { Autocomplete, type AutocompleteProps } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { instanceSummaries } from "../api/queries";

type InstanceFieldProps = Omit<AutocompleteProps, "data" | "value" | "onChange"> & {
  value: string;
  onChange: (value: string) => void;
};

// InstanceField takes an instance by name, or an address.
export function InstanceField({ value, onChange, ...props }: InstanceFieldProps) {
  const [search] = useDebouncedValue(value, 150);
  const { data } = useQuery(instanceSummaries(search, undefined, 0, 20));
  const names = [...new Set(data?.instances.map((i) => i.name) ?? [])];
  return (
    <Autocomplete
      {...props}
      value={value}
      onChange={onChange}
      data={names}
      filter={({ options }) => options}
      placeholder="web1, or 203.0.113.7"
      maxDropdownHeight={320}
    />
  );
}
