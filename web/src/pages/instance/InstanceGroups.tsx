import { Button, CloseButton } from "@mantine/core";
import { useState } from "react";
import { attach, detach } from "../../api/changes";
import type { Instance, Reference } from "../../api/types";
import { useChange } from "../../parts/change";
import { GroupPicker } from "../../parts/GroupPicker";
import { GroupName } from "../../parts/Names";
import { Section } from "../../parts/Page";
import { Form, FormButtons, Panel } from "../../parts/Panel";
import { Refusal } from "../../parts/Refusal";
import { useCaller, useMay } from "../../shell/caller";
import classes from "./InstanceGroups.module.css";

// InstanceGroups shows the instance's groups, and changes them.
export function InstanceGroups({ instance }: { instance: Instance }) {
  const may = useMay("instances");
  const leave = useChange<Reference>({
    ask: (group) => detach(group.id, instance.id),
    title: (group) => `${instance.name} left ${group.name}`,
  });
  const groups = instance["security-groups"];
  return (
    <Section title="Its groups">
      <Panel>
        <ul className={classes.groups} aria-label="Groups">
          {groups.map((group) => (
            <li key={group.id} className={classes.group}>
              <GroupName group={group} />
              {may && groups.length > 1 && (
                <CloseButton size="sm" aria-label={`Leave ${group.name}`} onClick={() => leave.mutate(group)} />
              )}
            </li>
          ))}
        </ul>
        <Refusal error={leave.error} />
        {may && <Join instance={instance} />}
        <WhileRunning instance={instance} />
      </Panel>
    </Section>
  );
}

function Join({ instance }: { instance: Instance }) {
  const [chosen, setChosen] = useState<Reference[]>([]);
  const join = useChange<Reference[]>({
    ask: async ([first, ...rest]) => {
      if (!first) throw new Error("Choose a group first.");
      for (const group of rest) await attach(group.id, instance.id);
      return attach(first.id, instance.id);
    },
    title: (groups) => `${instance.name} joined ${groups.map((g) => g.name).join(", ")}`,
    onDone: () => setChosen([]),
  });
  return (
    <>
      <Form label="Join groups" onSubmit={() => join.mutate(chosen)}>
        <GroupPicker label="Join" placeholder="Find a group" value={chosen} onChange={setChosen} maw={420} />
        <FormButtons>
          <Button type="submit" variant="default" disabled={chosen.length === 0} loading={join.isPending}>
            Join
          </Button>
        </FormButtons>
      </Form>
      <Refusal error={join.error} />
    </>
  );
}

// WhileRunning says beforehand what the zone's policy refuses, and the way to do it.
function WhileRunning({ instance }: { instance: Instance }) {
  const { "group-changes": policy } = useCaller();
  if (policy === "live" || instance.state === "stopped") return null;
  return (
    <p className={classes.hint}>
      In this zone groups change while an instance is stopped. Stop it {instance.host ? `on ${instance.host}` : "first"}
      , change its groups, and start it again.
    </p>
  );
}
