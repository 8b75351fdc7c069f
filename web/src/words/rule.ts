// Rules as sentences.
import type { Direction, NewRule, PeerlessRule, Rule } from "../api/types";
import { hasPorts, icmpWords, isICMP, protocolTitle, serviceAt } from "./service";

export interface RuleWords {
  service: string | undefined; // a name for it, such as SSH
  traffic: string; // protocol and ports, such as TCP 22
  preposition: "from" | "to";
  peer: string; // whom, such as 203.0.113.0/24, or a group's name
}

type AnyRule = Rule | NewRule;

export function ruleWords(rule: AnyRule): RuleWords {
  return {
    service: serviceOf(rule),
    traffic: trafficWords(rule),
    preposition: preposition(rule["flow-direction"]),
    peer: peerWords(rule),
  };
}

// sentence is the whole rule: "SSH, TCP 22, from 203.0.113.0/24".
export function sentence(rule: AnyRule): string {
  const { service, traffic, preposition, peer } = ruleWords(rule);
  return [service, traffic, `${preposition} ${peer}`].filter(Boolean).join(", ");
}

export function trafficWords(rule: PeerlessRule | NewRule): string {
  const title = protocolTitle(rule.protocol);
  if (isICMP(rule.protocol))
    return `${title} ${icmpWords(rule.protocol, rule.icmp?.type ?? -1, rule.icmp?.code ?? -1)}`;
  if (!hasPorts(rule.protocol)) return title;
  return `${title} ${portWords(rule)}`;
}

export function portWords(rule: { "start-port"?: number; "end-port"?: number }): string {
  const { "start-port": start, "end-port": end } = rule;
  if (!start || !end) return "every port";
  return start === end ? String(start) : `${start}–${end}`;
}

function serviceOf(rule: AnyRule): string | undefined {
  if (isICMP(rule.protocol)) return rule.icmp?.type === (rule.protocol === "icmp" ? 8 : 128) ? "Ping" : undefined;
  const { "start-port": start, "end-port": end } = rule;
  return start && start === end ? serviceAt(rule.protocol, start) : undefined;
}

export const preposition = (direction: Direction) => (direction === "ingress" ? "from" : "to");

export function peerWords(rule: AnyRule): string {
  const group = rule["security-group"];
  if (group) return group.name ?? `group ${group.id}`;
  return networkWords(rule.network ?? "");
}

export function networkWords(network: string): string {
  if (network === "0.0.0.0/0") return "everybody (IPv4)";
  if (network === "::/0") return "everybody (IPv6)";
  return network.replace(/\/32$/, "").replace(/^(.*:.*)\/128$/, "$1");
}

export const isEverybody = (network: string | undefined) => network === "0.0.0.0/0" || network === "::/0";

// shells are services with which whoever guesses a password owns the machine.
const shells: Record<number, string> = { 22: "SSH", 3389: "RDP" };

// openShell is the shell that the rule opens to everybody, if it does.
export function openShell(rule: AnyRule): string | undefined {
  if (rule["flow-direction"] !== "ingress" || !isEverybody(rule.network) || !hasPorts(rule.protocol)) return undefined;
  const [start, end] = [rule["start-port"] ?? 1, rule["end-port"] ?? 65535];
  const port = Object.keys(shells).find((p) => start <= Number(p) && Number(p) <= end);
  return port && shells[Number(port)];
}

// asNew is the rule as it would be added again.
export function asNew(rule: Rule): NewRule {
  const peer = rule["security-group"];
  const again: NewRule & { id?: string } = { ...rule, "security-group": peer && { id: peer.id } };
  delete again.id;
  return again;
}

// equal tells whether two rules allow the same.
export function equal(a: AnyRule, b: AnyRule): boolean {
  return identity(a) === identity(b);
}

function identity(r: AnyRule): string {
  const peer = r["security-group"];
  return JSON.stringify([
    r["flow-direction"],
    r.protocol,
    r["start-port"] ?? 0,
    r["end-port"] ?? 0,
    isICMP(r.protocol) ? [r.icmp?.type ?? -1, r.icmp?.code ?? -1] : null,
    peer ? (peer.name ?? peer.id) : r.network,
  ]);
}
