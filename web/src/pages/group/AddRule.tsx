import { Button, Select, TextInput } from "@mantine/core";
import { useState } from "react";
import { useSearchParams } from "react-router";
import type { Direction, Group, NewRule, Protocol } from "../../api/types";
import { problemAt } from "../../parts/change";
import { useDraft } from "../../parts/draft";
import { Form, FormButtons, Panel } from "../../parts/Panel";
import { PeerField, peerOf } from "../../parts/PeerField";
import { Refusal } from "../../parts/Refusal";
import { parsePorts } from "../../words/ports";
import { hasPorts, icmpMessages, isICMP, protocols, protocolTitle } from "../../words/service";
import { useAddRules } from "./addRules";
import { Hurts, useHurt } from "./Hurts";

interface Draft {
  protocol: Protocol;
  ports: string;
  message: string; // of ICMP, as type/code
  peer: string;
  description: string;
}

const empty: Draft = { protocol: "tcp", ports: "", message: "-1/-1", peer: "", description: "" };

// AddRule is the row with which rules are added. Several ports are several rules.
export function AddRule({ group, direction }: { group: Group; direction: Direction }) {
  const [draft, change, clear] = useDraft<Draft>(`rule-${group.id}-${direction}`, useSuggestion(direction));
  const [wrong, setWrong] = useState<{ ports?: string; peer?: string }>({});
  const add = useAddRules(group, clear);
  const hurt = useHurt(group);
  const submit = () => {
    const read = readDraft(draft, direction);
    setWrong("rules" in read ? {} : read);
    if ("rules" in read) hurt.check(read.rules, (rules) => add.mutate(rules));
  };
  const peerError = wrong.peer ?? problemAt(add.problem, "network", "security-group", "name");
  const portsError = wrong.ports ?? problemAt(add.problem, "start-port", "end-port");
  return (
    <Panel>
      <Form label={`Add a rule: ${direction}`} onSubmit={submit}>
        <Select
          label="Protocol"
          data={protocols.map((p) => ({ value: p, label: protocolTitle(p) }))}
          value={draft.protocol}
          onChange={(value) => change({ protocol: protocols.find((p) => p === value) ?? "tcp", message: "-1/-1" })}
          allowDeselect={false}
          maw={130}
        />
        {hasPorts(draft.protocol) && (
          <TextInput
            label="Ports, or none for all"
            placeholder="22, 8080-8090, https"
            value={draft.ports}
            onChange={(e) => change({ ports: e.currentTarget.value })}
            error={portsError}
            {...(direction === "ingress" ? { "data-shortcut": "new" } : {})}
          />
        )}
        {isICMP(draft.protocol) && (
          <Select
            label="Message"
            data={icmpMessages[draft.protocol].map((m) => ({ value: `${m.type}/${m.code}`, label: m.name }))}
            value={draft.message}
            onChange={(value) => change({ message: value ?? "-1/-1" })}
            allowDeselect={false}
          />
        )}
        <PeerField
          label={direction === "ingress" ? "From" : "To"}
          value={draft.peer}
          onChange={(peer) => change({ peer })}
          error={peerError}
        />
        <TextInput
          label="Description"
          placeholder="optional"
          value={draft.description}
          onChange={(e) => change({ description: e.currentTarget.value })}
          error={problemAt(add.problem, "description")}
        />
        <FormButtons>
          <Button type="submit" loading={add.isPending}>
            Add rule
          </Button>
        </FormButtons>
      </Form>
      {!peerError && !portsError && <Refusal error={add.error} />}
      <Hurts hurt={hurt} />
    </Panel>
  );
}

// useSuggestion is what a link such as “allow this” has filled in.
function useSuggestion(direction: Direction): Draft {
  const [params] = useSearchParams();
  if (params.get("add") !== direction) return empty;
  const protocol = protocols.find((p) => p === params.get("protocol")) ?? "tcp";
  return {
    ...empty,
    protocol,
    ports: params.get("ports") ?? "",
    message: params.get("message") ?? empty.message,
    peer: params.get("peer") ?? "",
  };
}

type Read = { rules: NewRule[] } | { ports?: string; peer?: string };

function readDraft(draft: Draft, direction: Direction): Read {
  const peer = peerOf(draft.peer);
  if (!peer) return { peer: "Write a network such as 203.0.113.0/24, or a group’s name" };
  const base: NewRule = { "flow-direction": direction, protocol: draft.protocol, ...peer };
  if (draft.description.trim()) base.description = draft.description.trim();
  if (isICMP(draft.protocol)) {
    const [type = -1, code = -1] = draft.message.split("/").map(Number);
    return { rules: [{ ...base, icmp: { type, code } }] };
  }
  if (!hasPorts(draft.protocol)) return { rules: [base] };
  const ports = parsePorts(draft.ports);
  if ("wrong" in ports) return { ports: ports.wrong };
  if (ports.ranges.length === 0) return { rules: [base] };
  return { rules: ports.ranges.map(({ start, end }) => ({ ...base, "start-port": start, "end-port": end })) };
}
