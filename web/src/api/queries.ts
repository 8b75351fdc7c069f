// What the pages read, each with the key under which it is cached.
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { answer, api } from "./client";
import type { ExplainRequest } from "./types";

const live = 5_000; // between two looks at what changes by itself, in milliseconds

// whileTold asks again and again, unless there is no answer to be had.
const whileTold = ({ state }: { state: { error: Error | null } }) => (state.error ? false : live);

const path = (id: string) => ({ params: { path: { id } } });

export const session = queryOptions({
  queryKey: ["session"],
  queryFn: () => answer(api.GET("/session")),
  staleTime: 60_000,
});

export const groups = queryOptions({
  queryKey: ["groups"],
  queryFn: async () => (await answer(api.GET("/security-group")))["security-groups"],
});

export const group = (id: string) =>
  queryOptions({ queryKey: ["group", id], queryFn: () => answer(api.GET("/security-group/{id}", path(id))) });

export const usage = (id: string) =>
  queryOptions({ queryKey: ["usage", id], queryFn: () => answer(api.GET("/security-group/{id}/usage", path(id))) });

export const groupSummaries = (search: string, offset = 0, limit = 100) =>
  queryOptions({
    queryKey: ["group-summaries", search, offset, limit],
    queryFn: () => answer(api.GET("/security-group-summary", { params: { query: { search, offset, limit } } })),
  });

export const instanceSummaries = (search: string, group?: string, offset = 0, limit = 100) =>
  queryOptions({
    queryKey: ["instance-summaries", search, group, offset, limit],
    queryFn: () =>
      answer(api.GET("/instance-summary", { params: { query: { search, offset, limit, "security-group": group } } })),
  });

export const templates = queryOptions({
  queryKey: ["templates"],
  queryFn: async () => (await answer(api.GET("/template-rule")))["template-rules"],
  staleTime: Infinity,
});

export const instance = (id: string) =>
  queryOptions({ queryKey: ["instance", id], queryFn: () => answer(api.GET("/instance/{id}", path(id))) });

export const explanation = (body: ExplainRequest) =>
  queryOptions({ queryKey: ["explain", body], queryFn: () => answer(api.POST("/explain", { body })), staleTime: 0 });

export const drops = (id: string) =>
  queryOptions({
    queryKey: ["drops", id],
    queryFn: async () => (await answer(api.GET("/instance/{id}/drop", path(id)))).drops,
    refetchInterval: whileTold,
  });

export const openFlows = (id: string) =>
  queryOptions({
    queryKey: ["open-flows", id],
    queryFn: () => answer(api.GET("/instance/{id}/flow", path(id))),
    refetchInterval: whileTold,
  });

export const hits = (group?: string) =>
  queryOptions({
    queryKey: ["hits", group],
    queryFn: async () => {
      const query = { "security-group": group };
      return (await answer(api.GET("/rule-hit", { params: { query } })))["rule-hits"];
    },
    refetchInterval: whileTold,
  });

export const hosts = queryOptions({
  queryKey: ["hosts"],
  queryFn: async () => (await answer(api.GET("/host"))).hosts,
  refetchInterval: live,
});

export const operation = (id: string) =>
  queryOptions({ queryKey: ["operation", id], queryFn: () => answer(api.GET("/operation/{id}", path(id))) });

const auditPage = 100;

export const audit = (log: "organization" | "installation") =>
  infiniteQueryOptions({
    queryKey: ["audit", log],
    queryFn: async ({ pageParam }) => {
      const query = { log, limit: auditPage, before: pageParam };
      return (await answer(api.GET("/audit", { params: { query } }))).records;
    },
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (page) => (page.length < auditPage ? undefined : page.at(-1)?.sequence),
  });

export const keys = queryOptions({
  queryKey: ["keys"],
  queryFn: async () => (await answer(api.GET("/api-key")))["api-keys"],
});

export const organizations = queryOptions({
  queryKey: ["organizations"],
  queryFn: async () => (await answer(api.GET("/organization"))).organizations,
});

export const quotas = queryOptions({
  queryKey: ["quotas"],
  queryFn: async () => (await answer(api.GET("/quota"))).quotas,
});
