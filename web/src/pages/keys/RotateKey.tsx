import { Button, Group as Row, Modal, Select } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { answer, api } from "../../api/client";
import { queries } from "../../api/cache";
import type { CreatedKey, Key } from "../../api/types";
import { Refusal } from "../../parts/Refusal";

const overlaps = { "0": "not at all", "3600": "for an hour", "86400": "for a day", "604800": "for a week" };

interface RotateKeyProps {
  apiKey: Key;
  onClose: () => void;
  onMade: (key: CreatedKey) => void;
}

// RotateKey makes a key's successor; the old one works on for a while.
export function RotateKey({ apiKey, onClose, onMade }: RotateKeyProps) {
  const [overlap, setOverlap] = useState("86400");
  const rotate = useMutation({
    mutationFn: () =>
      answer(
        api.PUT("/api-key/{key}:rotate", {
          params: { path: { key: apiKey.key } },
          body: { "overlap-seconds": Number(overlap) },
        }),
      ),
    onSuccess: (made) => {
      onClose();
      onMade(made);
      void queries.invalidateQueries();
    },
  });
  return (
    <Modal opened onClose={onClose} title={`Rotate the key ${apiKey.name}`}>
      <p>A new key with the same rights takes its place.</p>
      <Select
        label="The old key works on"
        data={Object.entries(overlaps).map(([value, label]) => ({ value, label }))}
        value={overlap}
        onChange={(value) => setOverlap(value ?? "86400")}
        allowDeselect={false}
      />
      <Refusal error={rotate.error} />
      <Row justify="flex-end" mt="md">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button loading={rotate.isPending} onClick={() => rotate.mutate()}>
          Rotate
        </Button>
      </Row>
    </Modal>
  );
}
