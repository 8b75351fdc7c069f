import { Alert } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { ReactNode } from "react";

// Warning stands where people get hurt, with the facts.
export function Warning({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Alert color="yellow" variant="light" title={title} icon={<IconAlertTriangle size={20} />} my="sm">
      {children}
    </Alert>
  );
}
