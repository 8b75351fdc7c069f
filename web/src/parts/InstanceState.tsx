import { Badge } from "@mantine/core";
import type { Instance } from "../api/types";

const colors: Partial<Record<Instance["state"], string>> = { running: "teal", stopped: "gray", error: "red" };

export function InstanceState({ state }: { state: Instance["state"] }) {
  return (
    <Badge variant="light" color={colors[state] ?? "yellow"} tt="none">
      {state}
    </Badge>
  );
}
