// Who may reach whom, as nodes and edges.
import type { Group, GroupSummary, Rule, RuleHit } from "../../api/types";
import { isEverybody } from "../../words/rule";

export interface MapNode {
  id: string;
  kind: "group" | "internet" | "network";
  name: string;
  members: number;
  own: Rule[]; // rules from the group to itself
}

export interface MapEdge {
  id: string;
  source: string;
  target: string;
  rules: { rule: Rule; group: Group }[];
  hits: number; // packets in the last hour
}

export interface Graph {
  nodes: MapNode[];
  edges: MapEdge[];
}

// The internet is at both sides: who comes from there, and what is reached there. So are networks.
export const internet = "internet";
const out = "-out";
export const internetOut = internet + out;
export const networks = "networks";

const fewNetworks = 8; // more than these become one node

// graphOf draws every group that takes part: that has members or rules, or is named by one.
export function graphOf(groups: Group[], summaries: GroupSummary[], hits: RuleHit[]): Graph {
  const packets = new Map(hits.map((h) => [h.rule, h["packets-last-hour"]]));
  const placeOf = placing(groups);
  const edges = new Map<string, MapEdge>();
  const own = new Map<string, Rule[]>();
  for (const group of groups) {
    for (const rule of group.rules ?? []) {
      const peer = placeOf(rule);
      if (peer === group.id) own.set(peer, [...(own.get(peer) ?? []), rule]);
      else join(edges, group, rule, peer, packets.get(rule.id) ?? 0);
    }
  }
  const reached = new Set([...edges.values()].flatMap((e) => [e.source, e.target]));
  const members = new Map(summaries.map((s) => [s.id, s.members]));
  const nodes = groups
    .map((g) => ({
      id: g.id,
      kind: "group" as const,
      name: g.name,
      members: members.get(g.id) ?? 0,
      own: own.get(g.id) ?? [],
    }))
    .filter((n) => reached.has(n.id) || n.members > 0 || n.own.length > 0);
  const outside = [...reached].filter((id) => !groups.some((g) => g.id === id)).map(outsideNode);
  return { nodes: [...outside, ...nodes], edges: [...edges.values()] };
}

// placing tells of each rule at which node its peer is.
function placing(groups: Group[]): (rule: Rule) => string {
  const all = new Set(groups.flatMap((g) => g.rules ?? []).map((r) => r.network ?? internet));
  const several = [...all].filter((n) => !isEverybody(n)).length > fewNetworks;
  return (rule) => {
    if (rule["security-group"]) return rule["security-group"].id;
    const place = isEverybody(rule.network) ? internet : several ? networks : (rule.network ?? internet);
    return rule["flow-direction"] === "ingress" ? place : place + out;
  };
}

function outsideNode(id: string): MapNode {
  const place = id.endsWith(out) ? id.slice(0, -out.length) : id;
  if (place === internet) return { id, kind: "internet", name: "Internet", members: 0, own: [] };
  return { id, kind: "network", name: place === networks ? "Networks" : place, members: 0, own: [] };
}

// join adds a rule to the edge in whose direction connections are opened.
function join(edges: Map<string, MapEdge>, group: Group, rule: Rule, peer: string, hits: number) {
  const [source, target] = rule["flow-direction"] === "ingress" ? [peer, group.id] : [group.id, peer];
  const id = `${source}>${target}`;
  const edge = edges.get(id) ?? { id, source, target, rules: [], hits: 0 };
  edge.rules.push({ rule, group });
  edge.hits += hits;
  edges.set(id, edge);
}

// around is the part of the graph that one node takes part in.
export function around(graph: Graph, id: string): Graph {
  const edges = graph.edges.filter((e) => e.source === id || e.target === id);
  const near = new Set([id, ...edges.flatMap((e) => [e.source, e.target])]);
  return { nodes: graph.nodes.filter((n) => near.has(n.id)), edges };
}
