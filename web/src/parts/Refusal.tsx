import { Alert } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";

// Refusal is why a change was refused, in the server's words.
export function Refusal({ error }: { error: Error | null | undefined }) {
  if (!error) return null;
  return (
    <Alert color="red" variant="light" role="alert" icon={<IconAlertTriangle size={20} />} mt="xs">
      {error.message}
    </Alert>
  );
}
