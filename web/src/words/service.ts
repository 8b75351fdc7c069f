// Names that people know ports and ICMP messages by.
import type { Protocol } from "../api/types";

const services: [name: string, protocols: Protocol[], port: number][] = [
  ["SSH", ["tcp"], 22],
  ["SMTP", ["tcp"], 25],
  ["DNS", ["udp", "tcp"], 53],
  ["HTTP", ["tcp"], 80],
  ["NTP", ["udp"], 123],
  ["LDAP", ["tcp"], 389],
  ["HTTPS", ["tcp"], 443],
  ["HTTP/3", ["udp"], 443],
  ["Submission", ["tcp"], 587],
  ["LDAPS", ["tcp"], 636],
  ["IMAPS", ["tcp"], 993],
  ["SQL Server", ["tcp"], 1433],
  ["MySQL", ["tcp"], 3306],
  ["RDP", ["tcp", "udp"], 3389],
  ["PostgreSQL", ["tcp"], 5432],
  ["Redis", ["tcp"], 6379],
  ["Kubernetes", ["tcp"], 6443],
  ["Memcached", ["tcp"], 11211],
  ["MongoDB", ["tcp"], 27017],
  ["WireGuard", ["udp"], 51820],
];

// serviceAt is what usually listens at the port, if there is a name for it.
export function serviceAt(protocol: Protocol, port: number): string | undefined {
  return services.find(([, protocols, at]) => at === port && protocols.includes(protocol))?.[0];
}

// portOf is the port of a service by its name, in any case.
export function portOf(name: string): number | undefined {
  return services.find(([service]) => service.toLowerCase() === name.toLowerCase())?.[2];
}

export interface ICMPMessage {
  type: number;
  code: number;
  name: string;
}

const any: ICMPMessage = { type: -1, code: -1, name: "every message" };

// icmpMessages are those that rules are usually about, of each protocol; -1 means any.
export const icmpMessages: Record<"icmp" | "icmpv6", ICMPMessage[]> = {
  icmp: [
    any,
    { type: 8, code: 0, name: "echo request (ping)" },
    { type: 0, code: 0, name: "echo reply" },
    { type: 3, code: -1, name: "destination unreachable" },
    { type: 3, code: 4, name: "fragmentation needed" },
    { type: 11, code: -1, name: "time exceeded" },
    { type: 5, code: -1, name: "redirect" },
    { type: 12, code: -1, name: "parameter problem" },
  ],
  icmpv6: [
    any,
    { type: 128, code: 0, name: "echo request (ping)" },
    { type: 129, code: 0, name: "echo reply" },
    { type: 1, code: -1, name: "destination unreachable" },
    { type: 2, code: -1, name: "packet too big" },
    { type: 3, code: -1, name: "time exceeded" },
    { type: 4, code: -1, name: "parameter problem" },
  ],
};

export function icmpWords(protocol: "icmp" | "icmpv6", type: number, code: number): string {
  const known = icmpMessages[protocol].find((m) => m.type === type && m.code === code);
  if (known) return known.name;
  return code < 0 ? `type ${type}` : `type ${type} code ${code}`;
}

export const isICMP = (p: Protocol): p is "icmp" | "icmpv6" => p === "icmp" || p === "icmpv6";
export const hasPorts = (p: Protocol): p is "tcp" | "udp" => p === "tcp" || p === "udp";

const titles: Record<Protocol, string> = {
  tcp: "TCP",
  udp: "UDP",
  icmp: "ICMP",
  icmpv6: "ICMPv6",
  ah: "AH",
  esp: "ESP",
  gre: "GRE",
  ipip: "IPIP",
};

export const protocols = Object.keys(titles) as Protocol[];
export const protocolTitle = (p: Protocol): string => titles[p];
