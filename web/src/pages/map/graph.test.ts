import { expect, test } from "vitest";
import type { Group, Rule } from "../../api/types";
import { around, graphOf, internet, internetOut, networks } from "./graph";

const peer = (id: string) => ({ "security-group": { id, name: id } });
const rule = (id: string, part: Partial<Rule>): Rule => ({ id, "flow-direction": "ingress", protocol: "tcp", ...part });
const group = (id: string, ...rules: Rule[]): Group => ({ id, name: id, visibility: "private", rules });

const groups = [
  group("web", rule("1", { network: "0.0.0.0/0" }), rule("2", { network: "::/0" })),
  group("app", rule("3", peer("web")), rule("4", peer("app"))),
  group("db", rule("5", peer("app")), rule("6", { "flow-direction": "egress", network: "0.0.0.0/0" })),
  group("unused"),
];

test("rules are edges in the direction in which connections are opened", () => {
  const { nodes, edges } = graphOf(groups, [], [{ rule: "5", "security-group": "db", packets: 9, bytes: 9, "packets-last-hour": 7 }]); // prettier-ignore
  expect(edges.map((e) => e.id)).toEqual([`${internet}>web`, "web>app", "app>db", `db>${internetOut}`]);
  expect(edges.map((e) => e.rules.length)).toEqual([2, 1, 1, 1]);
  expect(edges.map((e) => e.hits)).toEqual([0, 0, 7, 0]);
  expect(nodes.map((n) => n.id)).toEqual([internet, internetOut, "web", "app", "db"]);
  expect(nodes.find((n) => n.id === "app")?.own).toHaveLength(1);
});

test("many networks are one node", () => {
  const rules = Array.from({ length: 20 }, (_, i) => rule(String(i), { network: `10.0.${i}.0/24` }));
  const { nodes } = graphOf([group("web", ...rules)], [], []);
  expect(nodes.map((n) => n.id)).toEqual([networks, "web"]);
});

test("around a node is what it takes part in", () => {
  const { nodes, edges } = around(graphOf(groups, [], []), "app");
  expect(nodes.map((n) => n.id).sort()).toEqual(["app", "db", "web"]);
  expect(edges).toHaveLength(2);
});
