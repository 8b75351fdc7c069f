import { Button, Group, Modal } from "@mantine/core";
import type { ReactNode } from "react";
import { Refusal } from "./Refusal";

interface ConfirmProps {
  title: string;
  action: string; // what the button says
  opened: boolean;
  onClose: () => void;
  onConfirm: () => void;
  busy?: boolean;
  harmless?: boolean;
  error?: Error | null;
  children?: ReactNode;
}

// Confirm asks before what can't be undone, or hurts.
export function Confirm({ title, action, opened, onClose, onConfirm, busy, harmless, error, children }: ConfirmProps) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} size="lg">
      {children}
      <Refusal error={error} />
      <Group justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button color={harmless ? undefined : "red"} loading={busy ?? false} onClick={onConfirm} data-autofocus>
          {action}
        </Button>
      </Group>
    </Modal>
  );
}
