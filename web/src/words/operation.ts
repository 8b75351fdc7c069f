// What became of a change.
import type { Operation } from "../api/types";
import { count } from "./time";

export function outcomeWords(op: Operation): string {
  switch (op.state) {
    case "pending":
      return pendingWords(op);
    case "success":
      return successWords(op);
    default:
      return op.message ?? `It failed: ${op.reason ?? "the server does not say why"}.`;
  }
}

function pendingWords({ enforcement, message }: Operation): string {
  if (!enforcement) return message ?? "Under way…";
  const done = enforcement.hosts - enforcement.waiting;
  return `Enforced on ${done} of ${count(enforcement.hosts, "host")}; ${message ?? "waiting for the others"}`;
}

function successWords({ enforcement, message }: Operation): string {
  return [enforcedWords(enforcement), message].filter(Boolean).join(". ") || "Done.";
}

function enforcedWords(enforcement: Operation["enforcement"]): string {
  if (!enforcement) return "";
  const { hosts, milliseconds } = enforcement;
  if (hosts === 0) return "Done; no host is concerned yet";
  const time = milliseconds === undefined ? "" : ` in ${milliseconds.toLocaleString("en")} ms`;
  return `Enforced on ${hosts} of ${count(hosts, "host")}${time}`;
}
