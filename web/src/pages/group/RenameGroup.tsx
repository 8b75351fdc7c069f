import { Button, Group as Row, Modal, TextInput } from "@mantine/core";
import { useState, type FormEvent } from "react";
import { updateGroup } from "../../api/changes";
import type { Group } from "../../api/types";
import { problemAt, useChange } from "../../parts/change";
import { Refusal } from "../../parts/Refusal";

export function RenameGroup({ group, onClose }: { group: Group; onClose: () => void }) {
  const [name, setName] = useState(group.name);
  const [description, setDescription] = useState(group.description ?? "");
  const rename = useChange({
    ask: () => updateGroup(group.id, name.trim(), description.trim()),
    title: () => `Changed the group ${name}`,
    onDone: onClose,
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    rename.mutate();
  };
  const nameError = problemAt(rename.problem, "name");
  return (
    <Modal opened onClose={onClose} title={`Rename or describe ${group.name}`}>
      <form onSubmit={submit}>
        <TextInput
          label="Name"
          required
          data-autofocus
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          error={nameError}
        />
        <TextInput
          label="Description"
          mt="sm"
          value={description}
          onChange={(e) => setDescription(e.currentTarget.value)}
        />
        {!nameError && <Refusal error={rename.error} />}
        <Row justify="flex-end" mt="md">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={rename.isPending}>
            Save
          </Button>
        </Row>
      </form>
    </Modal>
  );
}
