// The changes that this browser asked for, from the question to their end.
import { useSyncExternalStore } from "react";
import { queries } from "../api/cache";
import { operation } from "../api/queries";
import type { Operation } from "../api/types";

export interface Outcome {
  key: number;
  title: string; // what was done: "Added SSH to web"
  operation: Operation;
  undo: (() => void) | undefined;
}

const patience = 500; // between two questions how far a change is, in milliseconds
const glance = 8_000; // how long a success shows

let outcomes: Outcome[] = [];
let last = 0;
const listeners = new Set<() => void>();

function set(next: Outcome[]) {
  outcomes = next;
  listeners.forEach((listener) => listener());
}

export function useOutcomes(): Outcome[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => outcomes,
  );
}

export const dismiss = (key: number) => set(outcomes.filter((o) => o.key !== key));

// report shows what became of a change, and follows it until it ends.
export function report(title: string, op: Operation, undo?: () => void) {
  const key = ++last;
  set([...outcomes.slice(-2), { key, title, operation: op, undo }]);
  void follow(key, op);
}

// attempt does what no form waits for, such as taking a change back, and shows why if it fails.
export function attempt(title: string, work: () => Promise<void>) {
  work().catch((error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    report(title, { id: "", state: "failure", reference: {}, message });
  });
}

async function follow(key: number, op: Operation) {
  let now = op;
  await new Promise((wake) => setTimeout(wake)); // until who asked has left: what was deleted need not be read again
  void queries.invalidateQueries();
  while (now.state === "pending" && outcomes.some((o) => o.key === key)) {
    await new Promise((wake) => setTimeout(wake, patience));
    now = await queries.fetchQuery({ ...operation(op.id), staleTime: 0 }).catch(() => now);
    const seen = now;
    set(outcomes.map((o) => (o.key === key ? { ...o, operation: seen } : o)));
  }
  if (now !== op) void queries.invalidateQueries();
  if (now.state === "success") setTimeout(() => dismiss(key), glance);
}
