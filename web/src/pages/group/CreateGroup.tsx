import { TextInput } from "@mantine/core";
import { useNavigate } from "react-router";
import { createGroup } from "../../api/changes";
import { problemAt, useChange } from "../../parts/change";
import { useDraft } from "../../parts/draft";
import { Form, Panel, Submit } from "../../parts/Panel";
import { Refusal } from "../../parts/Refusal";

// CreateGroup makes a group and goes to it, where its rules are added.
export function CreateGroup({ onClose }: { onClose: () => void }) {
  const [draft, change, clear] = useDraft("new-group", { name: "", description: "" });
  const navigate = useNavigate();
  const create = useChange({
    ask: () => createGroup(draft.name.trim(), draft.description.trim()),
    title: () => `Created the group ${draft.name}`,
    onDone: (op) => {
      clear();
      onClose();
      if (op.reference.id) void navigate(`/groups/${op.reference.id}`);
    },
  });
  const nameError = problemAt(create.problem, "name");
  return (
    <Panel>
      <Form label="New group" onSubmit={() => create.mutate()}>
        <TextInput
          label="Name"
          placeholder="web"
          autoFocus
          required
          value={draft.name}
          onChange={(e) => change({ name: e.currentTarget.value })}
          error={nameError}
        />
        <TextInput
          label="Description"
          placeholder="what faces the internet"
          value={draft.description}
          onChange={(e) => change({ description: e.currentTarget.value })}
          error={problemAt(create.problem, "description")}
        />
        <Submit action="Create" busy={create.isPending} onClose={onClose} />
      </Form>
      {!nameError && <Refusal error={create.error} />}
    </Panel>
  );
}
