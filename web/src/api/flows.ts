// Flow events as they happen.
import { useEffect, useReducer } from "react";
import type { FlowEvent } from "./types";

export interface SeenFlow extends FlowEvent {
  key: number; // in order of arrival
}

export interface FlowQuery {
  instance?: string | undefined; // id
  verdict: "denied" | "allowed" | "all";
}

export interface Flows {
  state: "connecting" | "live" | "unavailable";
  events: SeenFlow[]; // newest first
  lost: number; // events that could not be told
}

const kept = 2_000; // events
const pace = 250; // between two updates of what is shown, in milliseconds

type Step = { state: Flows["state"] } | { events: SeenFlow[]; lost: number } | "again";

const nothing: Flows = { state: "connecting", events: [], lost: 0 };

function step(flows: Flows, s: Step): Flows {
  if (s === "again") return nothing;
  if ("state" in s) return { ...flows, state: s.state };
  return { ...flows, events: [...s.events, ...flows.events].slice(0, kept), lost: flows.lost + s.lost };
}

// useFlows follows the stream as long as it is not paused.
export function useFlows({ instance, verdict }: FlowQuery, paused = false): Flows {
  const [flows, advance] = useReducer(step, nothing);
  useEffect(() => advance("again"), [instance, verdict]);
  useEffect(() => {
    if (paused) return undefined;
    return follow(url(instance, verdict), advance);
  }, [instance, verdict, paused]);
  return flows;
}

function url(instance: string | undefined, verdict: string): string {
  const query = new URLSearchParams({ verdict });
  if (instance) query.set("instance", instance);
  return `/v2/flow?${query}`;
}

let arrivals = 0;

// follow gathers events and tells of them at a pace that a page can keep.
function follow(url: string, advance: (s: Step) => void): () => void {
  const source = new EventSource(url);
  let events: SeenFlow[] = [];
  let lost = 0;
  source.addEventListener("flow", (e) => events.unshift({ ...(JSON.parse(e.data) as FlowEvent), key: ++arrivals }));
  source.addEventListener("lost", (e) => (lost += Number(e.data)));
  source.onopen = () => advance({ state: "live" });
  source.onerror = () => advance({ state: source.readyState === EventSource.CLOSED ? "unavailable" : "connecting" });
  const timer = setInterval(() => {
    if (events.length === 0 && lost === 0) return;
    advance({ events, lost });
    [events, lost] = [[], 0];
  }, pace);
  return () => {
    clearInterval(timer);
    source.close();
  };
}
