import { Checkbox, Select, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { answer, api } from "../../api/client";
import { queries } from "../../api/cache";
import type { CreatedKey, Scope } from "../../api/types";
import { useDraft } from "../../parts/draft";
import { Form, Panel, Submit } from "../../parts/Panel";
import { Refusal } from "../../parts/Refusal";
import { useCaller } from "../../shell/caller";

const scopes: Record<Scope, string> = {
  read: "look at everything but keys and audit",
  rules: "change groups and rules",
  instances: "change instances and their groups",
  admin: "all of that, and keys and audit",
};

const lives: Record<string, string> = {
  "0": "never",
  "1": "in a day",
  "30": "in 30 days",
  "90": "in 90 days",
  "365": "in a year",
};

interface Draft {
  name: string;
  scopes: Scope[];
  days: string;
  operator: boolean;
}

interface CreateKeyProps {
  onClose: () => void;
  onMade: (key: CreatedKey) => void;
  organization?: string; // another than the caller's
}

export function CreateKey({ onClose, onMade, organization }: CreateKeyProps) {
  const caller = useCaller();
  const [draft, change, clear] = useDraft<Draft>("new-key", {
    name: "",
    scopes: ["read"],
    days: "90",
    operator: false,
  });
  const create = useMutation({
    mutationFn: () => (organization ? createFor(organization, bodyOf(draft)) : createOwn(bodyOf(draft))),
    onSuccess: (made) => {
      clear();
      onClose();
      onMade(made);
      void queries.invalidateQueries();
    },
  });
  return (
    <Panel>
      <Form label="New key" onSubmit={() => create.mutate()}>
        <TextInput
          label="Name"
          placeholder="terraform"
          autoFocus
          required
          value={draft.name}
          onChange={(e) => change({ name: e.currentTarget.value })}
        />
        <Checkbox.Group
          label="It may"
          value={draft.scopes}
          onChange={(chosen) => change({ scopes: chosen as Scope[] })}
        >
          {Object.entries(scopes).map(([scope, what]) => (
            <Checkbox key={scope} value={scope} label={`${scope}: ${what}`} mt={6} />
          ))}
          {caller.operator && !organization && (
            <Checkbox
              checked={draft.operator}
              onChange={(e) => change({ operator: e.currentTarget.checked })}
              label="operator: also hosts and organizations"
              mt={6}
            />
          )}
        </Checkbox.Group>
        <Select
          label="Expires"
          data={Object.entries(lives).map(([value, label]) => ({ value, label }))}
          value={draft.days}
          onChange={(days) => change({ days: days ?? "90" })}
          allowDeselect={false}
        />
        <Submit action="Make the key" busy={create.isPending} onClose={onClose} />
      </Form>
      <Refusal error={create.error} />
    </Panel>
  );
}

function bodyOf({ name, scopes, days, operator }: Draft) {
  const expires = new Date(Date.now() + Number(days) * 86_400_000);
  return { name: name.trim(), scopes, operator, ...(days === "0" ? {} : { "expires-at": expires.toISOString() }) };
}

type Body = ReturnType<typeof bodyOf>;

const createOwn = (body: Body) => answer(api.POST("/api-key", { body }));

const createFor = (id: string, body: Body) =>
  answer(api.POST("/organization/{id}/api-key", { params: { path: { id } }, body }));
