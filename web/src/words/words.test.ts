import { describe, expect, test } from "vitest";
import type { FlowEvent, NewRule, OpenFlow, Operation, Rule } from "../api/types";
import { endedBy } from "./egress";
import { endpoint, flowText, matches, reasonWords } from "./flow";
import { contains, networkOf } from "./network";
import { outcomeWords } from "./operation";
import { parsePorts } from "./ports";
import { asNew, equal, openShell, sentence } from "./rule";
import { readRules, writeRules } from "./rulebook";
import { ago, count } from "./time";
import flowSource from "../../../flow.go?raw";

const rule = (part: Partial<Rule>): Rule => ({ id: "1", "flow-direction": "ingress", protocol: "tcp", ...part });
const at = (start: number, end = start) => ({ "start-port": start, "end-port": end });

describe("sentence", () => {
  const web = { id: "2", name: "web" };
  test.each<[Partial<Rule>, string]>([
    [{ ...at(22), network: "203.0.113.0/24" }, "SSH, TCP 22, from 203.0.113.0/24"],
    [{ ...at(8080, 8090), "security-group": web }, "TCP 8080–8090, from web"],
    [{ network: "10.0.0.7/32" }, "TCP every port, from 10.0.0.7"],
    [{ protocol: "udp", ...at(53), network: "::/0", "flow-direction": "egress" }, "DNS, UDP 53, to everybody (IPv6)"],
    [{ protocol: "icmp", icmp: { type: 8, code: 0 }, network: "0.0.0.0/0" }, "Ping, ICMP echo request (ping), from everybody (IPv4)"], // prettier-ignore
    [{ protocol: "icmpv6", icmp: { type: 200, code: 7 }, network: "2001:db8::1/128" }, "ICMPv6 type 200 code 7, from 2001:db8::1"], // prettier-ignore
    [{ protocol: "esp", network: "198.51.100.0/24" }, "ESP, from 198.51.100.0/24"],
  ])("%o", (part, words) => expect(sentence(rule(part))).toBe(words));
});

describe("openShell", () => {
  test.each<[Partial<Rule>, string | undefined]>([
    [{ ...at(22), network: "0.0.0.0/0" }, "SSH"],
    [{ ...at(3000, 4000), network: "::/0" }, "RDP"],
    [{ network: "0.0.0.0/0" }, "SSH"],
    [{ ...at(22), network: "203.0.113.0/24" }, undefined],
    [{ ...at(80), network: "0.0.0.0/0" }, undefined],
    [{ ...at(22), network: "0.0.0.0/0", "flow-direction": "egress" }, undefined],
  ])("%o", (part, shell) => expect(openShell(rule(part))).toBe(shell));
});

test("a rule that is added again names its peer by id", () => {
  const again = asNew(rule({ ...at(22), "security-group": { id: "2", name: "web" } }));
  expect(again).toEqual({ "flow-direction": "ingress", protocol: "tcp", ...at(22), "security-group": { id: "2" } });
});

describe("parsePorts", () => {
  test.each([
    ["", []],
    ["22", [[22, 22]]],
    ["80, 443 8080 - 8090", [[80, 80], [443, 443], [8080, 8090]]], // prettier-ignore
    ["ssh;HTTPS", [[22, 22], [443, 443]]], // prettier-ignore
  ])("%s", (text, ranges) =>
    expect(parsePorts(text)).toEqual({ ranges: ranges.map(([start, end]) => ({ start, end })) }),
  );
  test.each(["0", "65536", "90-80", "http/s", "1-2-3"])("%s is refused", (text) =>
    expect(parsePorts(text)).toHaveProperty("wrong"),
  );
});

describe("networkOf", () => {
  test.each([
    ["10.0.0.7", "10.0.0.7/32"],
    [" 10.0.0.0/8 ", "10.0.0.0/8"],
    ["2001:DB8::7", "2001:db8::7/128"],
    ["::/0", "::/0"],
    ["web", undefined],
    ["10.0.0", undefined],
    ["", undefined],
  ])("%s", (text, network) => expect(networkOf(text)).toBe(network));
});

test.each([
  ["10.0.0.0/8", "10.200.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["192.0.2.128/25", "192.0.2.129", true],
  ["0.0.0.0/0", "192.0.2.129", true],
  ["0.0.0.0/0", "2001:db8::1", false],
  ["2001:db8::1/128", "2001:db8::1", true],
])("%s contains %s: %s", (network, address, within) => expect(contains(network, address)).toBe(within));

describe("rules as text", () => {
  const rules: Rule[] = [
    rule({ ...at(22), network: "203.0.113.0/24", description: "office" }),
    rule({ ...at(8080, 8090), "security-group": { id: "2", name: "lb" } }),
    rule({ "security-group": { id: "3", name: 'a "strange" # name' } }),
    rule({ protocol: "icmp", icmp: { type: 3, code: -1 }, network: "0.0.0.0/0" }),
    rule({ protocol: "icmpv6", icmp: { type: -1, code: -1 }, network: "::/0" }),
    rule({ protocol: "esp", network: "198.51.100.0/24", "flow-direction": "egress" }),
  ];

  test("what was written is read", () => {
    const { rules: read, mistakes } = readRules(writeRules(rules));
    expect(mistakes).toEqual([]);
    expect(read).toHaveLength(rules.length);
    read.forEach((r, i) => expect(equal(r, rules[i] as Rule), writeRules([rules[i] as Rule])).toBe(true));
    expect(read[0]?.description).toBe("office");
  });

  test("several ports are several rules, and comments are none", () => {
    const { rules } = readRules("# web\n\nin tcp 80,https from 0.0.0.0/0");
    expect(rules.map((r) => r["start-port"])).toEqual([80, 443]);
  });

  test.each(["tcp 22", "ingress tcp 22 from web", "ingress sctp 22 from 0.0.0.0/0", "ingress gre 3 from 0.0.0.0/0"])(
    "%s is a mistake, and its line is named",
    (line) => expect(readRules(`\n${line}`).mistakes).toMatchObject([{ line: 2 }]),
  );
});

test("a first egress rule ends what it does not admit", () => {
  const flow = (remote: string, port: number, direction: OpenFlow["direction"] = "egress"): OpenFlow => ({
    interface: "tap0",
    direction,
    protocol: "tcp",
    local: "10.0.0.7",
    remote,
    "remote-port": port,
    "idle-seconds": 0,
    state: "established",
  });
  const https: NewRule = { "flow-direction": "egress", protocol: "tcp", ...at(443), network: "192.0.2.0/24" };
  const flows = [
    flow("192.0.2.1", 443),
    flow("192.0.2.1", 80),
    flow("198.51.100.1", 443),
    flow("1.1.1.1", 22, "ingress"),
  ];
  expect(endedBy([https], flows)).toEqual([flows[1], flows[2]]);
});

describe("outcomeWords", () => {
  const op = (part: Partial<Operation>): Operation => ({ id: "1", state: "success", reference: {}, ...part });
  test.each<[Partial<Operation>, string]>([
    [{ enforcement: { hosts: 3, waiting: 0, milliseconds: 42 } }, "Enforced on 3 of 3 hosts in 42 ms"],
    [{ enforcement: { hosts: 1, waiting: 0, milliseconds: 7 } }, "Enforced on 1 of 1 host in 7 ms"],
    [{ enforcement: { hosts: 0, waiting: 0 } }, "Done; no host is concerned yet"],
    [{}, "Done."],
    [{ state: "pending", enforcement: { hosts: 3, waiting: 1 }, message: "waiting for host hv2 to enforce it" }, "Enforced on 2 of 3 hosts; waiting for host hv2 to enforce it"], // prettier-ignore
    [{ state: "failure", message: "the host is gone" }, "the host is gone"],
  ])("%o", (part, words) => expect(outcomeWords(op(part))).toBe(words));
});

test("times", () => {
  const now = new Date("2026-01-02T00:00:00Z");
  expect(ago(new Date("2026-01-01T23:59:57Z"), now)).toBe("just now");
  expect(ago(new Date("2026-01-01T23:59:00Z"), now)).toBe("1 minute ago");
  expect(ago(new Date("2026-01-02T00:00:09Z"), now)).toBe("just now");
  expect(ago(new Date("2026-01-05T00:00:00Z"), now)).toBe("in 3 days");
  expect(count(12345, "rule")).toBe("12,345 rules");
});

test("flow filters take words, and refuse those after a minus", () => {
  const event: FlowEvent = {
    time: "2026-01-01T00:00:00Z",
    host: "hv1",
    instance: { id: "1", name: "web1" },
    interface: "tap0",
    verdict: "drop",
    reason: "denied-ingress",
    direction: "ingress",
    protocol: "tcp",
    local: "10.0.0.7",
    "local-port": 22,
    remote: "2001:db8::1",
    "remote-port": 4000,
  };
  expect(matches(flowText(event), "WEB1 10.0.0.7:22")).toBe(true);
  expect(matches(flowText(event), "web1 -tcp")).toBe(false);
  expect(endpoint("2001:db8::1", 22)).toBe("[2001:db8::1]:22");
});

test("there are words for every reason that the server knows", () => {
  const names = /reasonNames = .*?\{(.*?)\n\}/s.exec(flowSource)?.[1] ?? "";
  const reasons = [...names.matchAll(/"([a-z-]+)"/g)].map(([, name = ""]) => name).filter((name) => name !== "none");
  expect(reasons).toContain("denied-ingress");
  expect(reasons.filter((reason) => reasonWords(reason) === reason.replaceAll("-", " "))).toEqual([]);
  expect(reasonWords("of-a-newer-server")).toBe("of a newer server");
});
