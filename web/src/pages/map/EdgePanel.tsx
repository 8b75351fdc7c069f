import { CloseButton } from "@mantine/core";
import { GroupName } from "../../parts/Names";
import { Section } from "../../parts/Page";
import { List, Panel } from "../../parts/Panel";
import { RuleSentence } from "../../parts/RuleSentence";
import { count } from "../../words/time";
import type { Graph, MapEdge } from "./graph";

// EdgePanel shows the rules behind a line of the map.
export function EdgePanel({ graph, edge, onClose }: { graph: Graph; edge: MapEdge; onClose: () => void }) {
  const name = (id: string) => graph.nodes.find((n) => n.id === id)?.name ?? id;
  return (
    <Section
      title={`${name(edge.source)} may reach ${name(edge.target)}`}
      aside={<CloseButton aria-label="Close" onClick={onClose} />}
    >
      <Panel>
        {count(edge.rules.length, "rule")}, {count(edge.hits, "packet")} in the last hour
        <List>
          {edge.rules.map(({ rule, group }) => (
            <li key={rule.id}>
              <RuleSentence rule={rule}>
                {" in "}
                <GroupName group={group} />
              </RuleSentence>
            </li>
          ))}
        </List>
      </Panel>
    </Section>
  );
}
