// What was read, and for how long it counts.
import { QueryCache, QueryClient } from "@tanstack/react-query";
import { Problem } from "./client";
import { session } from "./queries";

// queries holds every answer. A refusal may mean that the session has ended: then
// the session's own answer says so, and the sign-in page shows.
export const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      const refused = error instanceof Problem && (error.status === 401 || error.status === 403);
      if (refused && query.queryKey[0] !== "session") void queries.invalidateQueries(session);
    },
  }),
  defaultOptions: {
    // A browser may think that it is offline and still reach this server; and a change that it
    // held back would happen some time later, unasked.
    queries: {
      networkMode: "always",
      staleTime: 2_000,
      retry: (failures, error) => failures < 2 && error instanceof Problem && [0, 502, 504].includes(error.status),
      throwOnError: false,
    },
    mutations: { networkMode: "always", retry: false },
  },
});
