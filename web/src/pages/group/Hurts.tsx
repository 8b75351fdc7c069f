import { useQueries, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Button } from "@mantine/core";
import { openFlows, usage } from "../../api/queries";
import type { Group, NewRule } from "../../api/types";
import { Confirm } from "../../parts/Confirm";
import { List } from "../../parts/Panel";
import { useOwnAddress } from "../../parts/PeerField";
import { endedBy } from "../../words/egress";
import { endpoint } from "../../words/flow";
import { openShell } from "../../words/rule";
import { count } from "../../words/time";

type Go = (rules: NewRule[]) => void;

export interface Hurt {
  group: Group;
  kind: "shell" | "egress" | undefined; // what the rules would hurt
  rules: NewRule[];
  check: (rules: NewRule[], go: Go) => void;
  go: Go;
  cancel: () => void;
}

// useHurt lets rules through, and asks first about those that hurt people.
export function useHurt(group: Group): Hurt {
  const [asked, setAsked] = useState<{ rules: NewRule[]; go: Go; kind: "shell" | "egress" }>();
  const cancel = () => setAsked(undefined);
  const check = (rules: NewRule[], go: Go) => {
    const kind = hurtOf(group, rules);
    if (kind) setAsked({ rules, go, kind });
    else go(rules);
  };
  const go = (rules: NewRule[]) => {
    cancel();
    asked?.go(rules);
  };
  return { group, kind: asked?.kind, rules: asked?.rules ?? [], check, go, cancel };
}

function hurtOf(group: Group, rules: NewRule[]): Hurt["kind"] {
  if (rules.some((r) => openShell(r))) return "shell";
  const closes = rules.some((r) => r["flow-direction"] === "egress");
  const open = !group.rules?.some((r) => r["flow-direction"] === "egress");
  return closes && open ? "egress" : undefined;
}

export function Hurts({ hurt }: { hurt: Hurt }) {
  if (hurt.kind === "shell") return <OpensShell hurt={hurt} />;
  if (hurt.kind === "egress") return <ClosesEgress hurt={hurt} />;
  return null;
}

function OpensShell({ hurt }: { hurt: Hurt }) {
  const own = useOwnAddress();
  const shell = hurt.rules.map((r) => openShell(r)).find(Boolean) ?? "SSH";
  const narrowed = hurt.rules.map((r) => (openShell(r) && own ? { ...r, network: own } : r));
  return (
    <Confirm
      title={`Open ${shell} to everybody?`}
      action="Open it to everybody"
      opened
      onClose={hurt.cancel}
      onConfirm={() => hurt.go(hurt.rules)}
    >
      <p>
        Everybody on the internet may then try passwords and keys at every instance of {hurt.group.name}. Scanners find
        an open {shell} port within minutes.
      </p>
      {own && (
        <Button variant="light" onClick={() => hurt.go(narrowed)}>
          Only from my address {own}
        </Button>
      )}
    </Confirm>
  );
}

const asked = 20; // members whose flows are looked at
const shown = 8; // flows that are named

function ClosesEgress({ hurt }: { hurt: Hurt }) {
  const { data: users } = useQuery(usage(hurt.group.id));
  const members = users?.instances.slice(0, asked) ?? [];
  const answers = useQueries({ queries: members.map((m) => openFlows(m.id)) });
  const known = answers.some((a) => a.data);
  const ended = members.flatMap((member, i) =>
    endedBy(hurt.rules, answers[i]?.data?.flows ?? []).map((flow) => ({ member, flow })),
  );
  return (
    <Confirm
      title="Close all other egress?"
      action="Add it, and close the rest"
      opened
      onClose={hurt.cancel}
      onConfirm={() => hurt.go(hurt.rules)}
    >
      <p>
        Without egress rules an instance may reach everything. This is the group’s first: from then on its{" "}
        {count(users?.instances.length ?? 0, "instance")} may reach only what an egress rule of one of their groups
        names.
      </p>
      {known && ended.length === 0 && <p>No outbound connection that is open now would end.</p>}
      {ended.length > 0 && (
        <>
          <p>
            <strong>{count(ended.length, "open connection")}</strong> would end, unless another group’s egress rule
            admits them:
          </p>
          <List>
            {ended.slice(0, shown).map(({ member, flow }, i) => (
              <li key={i}>
                {member.name} to {endpoint(flow.remote, flow["remote-port"])} ({flow.protocol})
              </li>
            ))}
          </List>
        </>
      )}
      {!known && members.length > 0 && <p>Which open connections would end is not known: their hosts don’t tell.</p>}
    </Confirm>
  );
}
