import { TextInput } from "@mantine/core";
import { useNavigate } from "react-router";
import { createInstance } from "../../api/changes";
import type { NewInstance, Reference } from "../../api/types";
import { problemAt, useChange } from "../../parts/change";
import { useDraft } from "../../parts/draft";
import { GroupPicker } from "../../parts/GroupPicker";
import { Form, Panel, Submit } from "../../parts/Panel";
import { Refusal } from "../../parts/Refusal";

interface Draft {
  name: string;
  host: string;
  device: string;
  mac: string;
  addresses: string;
  groups: Reference[];
}

const empty: Draft = { name: "", host: "", device: "", mac: "", addresses: "", groups: [] };

// CreateInstance registers an instance with one interface; more are added by command.
export function CreateInstance({ onClose }: { onClose: () => void }) {
  const [draft, change, clear] = useDraft<Draft>("new-instance", empty);
  const navigate = useNavigate();
  const create = useChange({
    ask: () => createInstance(instanceOf(draft)),
    title: () => `Registered the instance ${draft.name}`,
    onDone: (op) => {
      clear();
      onClose();
      if (op.reference.id) void navigate(`/instances/${op.reference.id}`);
    },
  });
  const field = (name: "name" | "host" | "device" | "mac" | "addresses", ...at: string[]) => ({
    value: draft[name],
    onChange: (e: React.ChangeEvent<HTMLInputElement>) => change({ [name]: e.currentTarget.value }),
    error: problemAt(create.problem, ...at),
  });
  const placed = ["name", "host", "mac", "ipv4", "ipv6", "security-groups"].includes(create.problem?.field ?? "");
  return (
    <Panel>
      <Form label="New instance" onSubmit={() => create.mutate()}>
        <TextInput label="Name" placeholder="web1" autoFocus required {...field("name", "name")} />
        <TextInput label="Host" placeholder="hv1" {...field("host", "host")} />
        <TextInput label="Interface" placeholder="vnet0" {...field("device")} />
        <TextInput label="MAC" placeholder="52:54:00:12:34:56" {...field("mac", "mac")} />
        <TextInput label="Addresses" placeholder="192.0.2.21, 2001:db8::21" {...field("addresses", "ipv4", "ipv6")} />
        <GroupPicker
          label="Groups"
          placeholder={draft.groups.length ? "" : "none: the primary group"}
          value={draft.groups}
          onChange={(groups) => change({ groups })}
          error={problemAt(create.problem, "security-groups")}
        />
        <Submit action="Register" busy={create.isPending} onClose={onClose} />
      </Form>
      {!placed && <Refusal error={create.error} />}
    </Panel>
  );
}

function instanceOf(draft: Draft): NewInstance {
  const body: NewInstance = { name: draft.name.trim() };
  if (draft.groups.length > 0) body["security-groups"] = draft.groups.map(({ id }) => ({ id }));
  if (draft.host.trim()) body.host = draft.host.trim();
  if (draft.device.trim() || draft.mac.trim()) body.interfaces = [interfaceOf(draft)];
  return body;
}

function interfaceOf({ device, mac, addresses }: Draft) {
  const all = addresses.split(/[\s,;]+/).filter(Boolean);
  return {
    name: device.trim(),
    mac: mac.trim(),
    ipv4: all.filter((a) => !a.includes(":")),
    ipv6: all.filter((a) => a.includes(":")),
  };
}
