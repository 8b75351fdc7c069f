import { Button, Group as Row, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { templates as templatesQuery } from "../../api/queries";
import type { Group, NewRule, Template } from "../../api/types";
import { Panel } from "../../parts/Panel";
import { PeerField, peerOf } from "../../parts/PeerField";
import { Refusal } from "../../parts/Refusal";
import { isIPv6 } from "../../words/network";
import { trafficWords } from "../../words/rule";
import { useAddRules } from "./addRules";
import { Hurts, useHurt } from "./Hurts";
import classes from "./Templates.module.css";

// Templates are the usual rules, each added by one click.
export function Templates({ group }: { group: Group }) {
  const { data: templates } = useQuery(templatesQuery);
  const [peer, setPeer] = useState("0.0.0.0/0");
  const add = useAddRules(group);
  const hurt = useHurt(group);
  if (!templates) return null;
  return (
    <Panel>
      <div className={classes.templates}>
        <PeerField label="One click opens, from" value={peer} onChange={setPeer} className={classes.peer} />
        <Row gap={6} role="group" aria-label="Templates">
          {templates.map((t) => (
            <Button
              key={t.name}
              size="compact-sm"
              radius="xl"
              variant="light"
              title={`${t.description}: ${t.rules.map(trafficWords).join(", ")}`}
              disabled={!peerOf(peer)}
              onClick={() => hurt.check(rulesOf(t, peer), (rules) => add.mutate(rules))}
            >
              {t.title}
            </Button>
          ))}
        </Row>
      </div>
      {!peerOf(peer) && <Text size="sm">Say first from whom: a network, or a group’s name.</Text>}
      <Refusal error={add.error} />
      <Hurts hurt={hurt} />
    </Panel>
  );
}

// rulesOf are the template's rules for the peer: of ICMP only the family that it has, for a group both.
function rulesOf(template: Template, text: string): NewRule[] {
  const peer = peerOf(text);
  return template.rules.filter((r) => fits(r.protocol, peer?.network)).map((r) => ({ ...r, ...peer }));
}

function fits(protocol: string, network: string | undefined): boolean {
  if (!network || !protocol.startsWith("icmp")) return true;
  return isIPv6(network) === (protocol === "icmpv6");
}
