// Whether what was read last is what is so now.
import { useSyncExternalStore } from "react";

// stale: the server could not make sure of it. away: the server was not reached.
export type Freshness = "fresh" | "stale" | "away";

let freshness: Freshness = "fresh";
const listeners = new Set<() => void>();

// note keeps how fresh the last answer was.
export function note(last: Freshness) {
  freshness = last;
  listeners.forEach((listener) => listener());
}

export function useFreshness(): Freshness {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => freshness,
  );
}
