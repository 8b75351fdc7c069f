import { useQueries } from "@tanstack/react-query";
import { useMemo } from "react";
import type { SeenFlow } from "../../api/flows";
import { instance as instanceQuery } from "../../api/queries";
import { internet, internetOut } from "./graph";

const most = 50; // instances whose groups are asked for

// useDenied counts denied first packets between nodes: who tried, and whom they meant.
export function useDenied(events: SeenFlow[]): Map<string, number> {
  const ids = useMemo(() => [...new Set(events.flatMap(instancesOf))].slice(0, most), [events]);
  const answers = useQueries({ queries: ids.map((id) => ({ ...instanceQuery(id), staleTime: 60_000 })) });
  const groupOf = new Map(ids.map((id, i) => [id, answers[i]?.data?.["security-groups"].at(-1)?.id]));
  const denied = new Map<string, number>();
  for (const event of events) {
    const local = groupOf.get(event.instance.id);
    const ingress = event.direction === "ingress";
    const outside = ingress ? internet : internetOut;
    const remote = event["remote-instance"] ? groupOf.get(event["remote-instance"].id) : outside;
    if (!local || !remote || local === remote) continue;
    const id = ingress ? `${remote}>${local}` : `${local}>${remote}`;
    denied.set(id, (denied.get(id) ?? 0) + 1);
  }
  return denied;
}

const instancesOf = (e: SeenFlow) => [e.instance.id, ...(e["remote-instance"] ? [e["remote-instance"].id] : [])];
