// Rules as text, a line each, to copy from one group and paste into another:
//
//   ingress tcp 22 from 203.0.113.0/24 # office
//   ingress icmp 8/0 from 0.0.0.0/0
//   egress udp 53 to group dns
import type { Direction, NewRule, Rule } from "../api/types";
import { networkOf } from "./network";
import { parsePorts } from "./ports";
import { preposition } from "./rule";
import { hasPorts, isICMP, protocols } from "./service";

export function writeRules(rules: Rule[]): string {
  return rules.map(writeRule).join("\n");
}

function writeRule(rule: Rule): string {
  const peer = rule["security-group"] ? `group ${quote(rule["security-group"].name)}` : rule.network;
  const words = [rule["flow-direction"], rule.protocol, detail(rule), preposition(rule["flow-direction"]), peer];
  const comment = rule.description ? ` # ${rule.description.replace(/\s+/g, " ")}` : "";
  return words.filter(Boolean).join(" ") + comment;
}

const quote = (name: string) => (/^[\w.-]+$/.test(name) ? name : JSON.stringify(name));

function detail(rule: Rule): string {
  if (isICMP(rule.protocol)) {
    const { type, code } = rule.icmp ?? { type: -1, code: -1 };
    if (type < 0) return "";
    return code < 0 ? String(type) : `${type}/${code}`;
  }
  const { "start-port": start, "end-port": end } = rule;
  if (!start || !end) return "";
  return start === end ? String(start) : `${start}-${end}`;
}

export interface Mistake {
  line: number;
  message: string;
}

export interface Rulebook {
  rules: NewRule[];
  mistakes: Mistake[];
}

// readRules reads what writeRules wrote, and what people write like it.
export function readRules(text: string): Rulebook {
  const book: Rulebook = { rules: [], mistakes: [] };
  text.split("\n").forEach((line, index) => {
    if (/^\s*(#.*)?$/.test(line)) return;
    const rules = readLine(line);
    if (typeof rules === "string") book.mistakes.push({ line: index + 1, message: rules });
    else book.rules.push(...rules);
  });
  return book;
}

const shape = /^\s*(ingress|egress|in|out)\s+(\w+)\s*(.*?)\s+(?:from|to)\s+(.+?)\s*$/i;

function readLine(line: string): NewRule[] | string {
  const { text, comment } = splitComment(line);
  const match = shape.exec(text);
  if (!match) return "write it like: ingress tcp 22 from 203.0.113.0/24";
  const [, direction = "", protocolText = "", detailText = "", peerText = ""] = match;
  const protocol = protocols.find((p) => p === protocolText.toLowerCase());
  if (!protocol) return `“${protocolText}” is no protocol; write one of ${protocols.join(", ")}`;
  const peer = readPeer(peerText);
  if (typeof peer === "string") return peer;
  const base: NewRule = { "flow-direction": directionOf(direction), protocol, ...peer };
  if (comment) base.description = comment;
  if (hasPorts(protocol)) return withPorts(base, detailText);
  if (isICMP(protocol)) return withMessage(base, detailText);
  return detailText ? `${protocol} has no ports; leave “${detailText}” out` : [base];
}

// splitComment cuts at the first # that is not within quotes.
function splitComment(line: string): { text: string; comment: string } {
  const match = /^((?:"(?:\\.|[^"\\])*"|[^"#])*)(?:#\s*(.*))?$/.exec(line);
  return { text: match?.[1] ?? line, comment: match?.[2]?.trim() ?? "" };
}

const directionOf = (word: string): Direction => (/^in/i.test(word) ? "ingress" : "egress");

function readPeer(text: string): Pick<NewRule, "network" | "security-group"> | string {
  const named = /^group\s+(.+)$/i.exec(text)?.[1];
  if (named) return { "security-group": { name: unquote(named) } };
  const network = networkOf(text);
  return network ? { network } : `“${text}” is no network; write 203.0.113.0/24, or group ${text} for a group`;
}

function unquote(name: string): string {
  if (!name.startsWith('"')) return name;
  try {
    return String(JSON.parse(name));
  } catch {
    return name;
  }
}

function withPorts(rule: NewRule, text: string): NewRule[] | string {
  const ports = parsePorts(text);
  if ("wrong" in ports) return ports.wrong;
  if (ports.ranges.length === 0) return [rule];
  return ports.ranges.map(({ start, end }) => ({ ...rule, "start-port": start, "end-port": end }));
}

function withMessage(rule: NewRule, text: string): NewRule[] | string {
  const match = /^(?:(\d{1,3})(?:\/(\d{1,3}))?)?$/.exec(text);
  if (!match) return `“${text}” is no ICMP message; write type/code such as 8/0`;
  return [{ ...rule, icmp: { type: Number(match[1] ?? -1), code: Number(match[2] ?? -1) } }];
}
