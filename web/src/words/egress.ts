// What a group's first egress rules would end: until then its instances send anything.
import type { NewRule, OpenFlow } from "../api/types";
import { contains } from "./network";

// endedBy are the outbound flows that none of the rules admits. A rule to a group
// is taken to admit them, for an address does not tell whose it is.
export function endedBy(rules: NewRule[], flows: OpenFlow[]): OpenFlow[] {
  return flows.filter((f) => f.direction === "egress" && !rules.some((r) => admits(r, f)));
}

function admits(rule: NewRule, flow: OpenFlow): boolean {
  if (rule["flow-direction"] !== "egress" || rule.protocol !== flow.protocol) return false;
  const port = flow["remote-port"] ?? 0;
  if (rule["start-port"] && (port < rule["start-port"] || port > (rule["end-port"] ?? rule["start-port"])))
    return false;
  return rule.network === undefined || contains(rule.network, flow.remote);
}
