// Flow events as people read and filter them.
import type { FlowEvent, OpenFlow } from "../api/types";

export const endpoint = (address?: string, port?: number) => {
  if (!address) return "";
  if (!port) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
};

export const localOf = (e: FlowEvent | OpenFlow) => endpoint(e.local, e["local-port"]);
export const remoteOf = (e: FlowEvent | OpenFlow) => endpoint(e.remote, e["remote-port"]);

// flowText is everything of an event that a filter is compared with.
export function flowText(e: FlowEvent): string {
  const parts = [
    e.instance.name,
    e["remote-instance"]?.name,
    localOf(e),
    remoteOf(e),
    e.protocol,
    e.reason,
    e.host,
    e.interface,
    e.direction,
    e["security-group"]?.name,
  ];
  return parts.filter(Boolean).join(" ").toLowerCase();
}

// matches tells whether the text has every word of the filter; a word after - must be absent.
export function matches(text: string, filter: string): boolean {
  return filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "" && word !== "-")
    .every((word) => (word.startsWith("-") ? !text.includes(word.slice(1)) : text.includes(word)));
}

const reasons: Record<string, string> = {
  flow: "belongs to a live flow",
  rule: "a rule admits it",
  "egress-open": "no group has an egress rule, so all egress is open",
  arp: "the ARP that an address needs",
  nd: "the neighbour discovery that an address needs",
  dhcp: "it asks for its own DHCP lease, or gets it",
  "icmp-error": "an error about a live flow",
  "no-policy": "the interface has no policy yet",
  vlan: "a frame with a VLAN tag",
  ethertype: "neither IP nor ARP",
  malformed: "a packet that is cut short or contradicts itself",
  "mac-spoof": "the sender's MAC address is not its own",
  "arp-invalid": "an ARP message that makes no sense",
  "arp-spoof": "it claims an address by ARP that is not its own",
  "rarp-rate": "too many RARP announcements",
  "ip-spoof": "the sender's IP address is not its own",
  "source-route": "the sender dictates the route",
  mapped: "an IPv4 address dressed up as an IPv6 one",
  "ext-headers": "too many IPv6 extension headers",
  "dhcp-server": "an instance is no DHCP server",
  "dhcp-spoof": "it asks for another's DHCP lease",
  "nd-invalid": "neighbour discovery that makes no sense",
  "nd-spoof": "it claims an address by neighbour discovery that is not its own",
  router: "an instance is no router",
  multicast: "broadcast and multicast don't leave an instance",
  "not-for-nic": "meant for another interface",
  "not-owned": "meant for an address that the instance does not own",
  "fragment-invalid": "a fragment that does not fit the others",
  "fragment-orphan": "a fragment whose beginning never came",
  "no-flow": "an answer that nobody asked for",
  "denied-ingress": "no ingress rule admits it",
  "denied-egress": "no egress rule admits it",
  revoked: "the rule that had admitted it is gone",
  "table-full": "the interface has too many flows",
};

// reasonWords is a reason as a sentence where there is one, else its name.
export const reasonWords = (reason: string) => reasons[reason] ?? reason.replaceAll("-", " ");
