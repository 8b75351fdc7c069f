import { NumberInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { answer, api } from "../../api/client";
import type { Organization, Quotas } from "../../api/types";
import { useChange } from "../../parts/change";
import { Form, Panel, Submit } from "../../parts/Panel";
import { Refusal } from "../../parts/Refusal";

const titles: Record<keyof Quotas, string> = {
  "security-groups": "Groups",
  "rules-per-security-group": "Rules of a group",
  "security-groups-per-instance": "Groups of an instance",
  instances: "Instances",
  "api-keys": "Keys",
};

type Numbers = { [quota in keyof Quotas]?: number | string };

// EditOrganization makes an organization, or changes one.
export function EditOrganization({ organization, onClose }: { organization?: Organization; onClose: () => void }) {
  const [name, setName] = useState(organization?.name ?? "");
  const [hosts, setHosts] = useState(organization?.hosts.join(", ") ?? "");
  const [quotas, setQuotas] = useState<Numbers>(organization?.quotas ?? {});
  const save = useChange({
    ask: () =>
      send(organization, { name: name.trim(), hosts: hosts.split(/[\s,;]+/).filter(Boolean), quotas: given(quotas) }),
    title: () => `${organization ? "Changed" : "Created"} the organization ${name}`,
    onDone: onClose,
  });
  return (
    <Panel>
      <Form label={organization ? `Change ${organization.name}` : "New organization"} onSubmit={() => save.mutate()}>
        <TextInput label="Name" autoFocus required value={name} onChange={(e) => setName(e.currentTarget.value)} />
        <TextInput
          label="Hosts it may use"
          placeholder="hv1, hv2, or * for every host"
          value={hosts}
          onChange={(e) => setHosts(e.currentTarget.value)}
        />
        {(Object.keys(titles) as (keyof Quotas)[]).map((quota) => (
          <NumberInput
            key={quota}
            label={titles[quota]}
            placeholder="as usual"
            min={0}
            value={quotas[quota] ?? ""}
            onChange={(value) => setQuotas({ ...quotas, [quota]: value })}
          />
        ))}
        <Submit action="Save" busy={save.isPending} onClose={onClose} />
      </Form>
      <Refusal error={save.error} />
    </Panel>
  );
}

interface Body {
  name: string;
  hosts: string[];
  quotas: Partial<Quotas>;
}

const given = (quotas: Numbers): Partial<Quotas> =>
  Object.fromEntries(Object.entries(quotas).filter(([, n]) => n !== "" && n !== undefined)) as Partial<Quotas>;

function send(organization: Organization | undefined, body: Body) {
  if (!organization) return answer(api.POST("/organization", { body }));
  return answer(api.PUT("/organization/{id}", { params: { path: { id: organization.id } }, body }));
}
