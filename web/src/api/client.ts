// Calls of the contract. Every answer that is not what was asked for becomes a Problem.
import createClient from "openapi-fetch";
import { note } from "./freshness";
import type { paths } from "./schema";

export const api = createClient<paths>({ baseUrl: "/v2" });

api.use({
  onResponse({ request, response }) {
    if (request.method === "GET") note(response.headers.has("Warning") ? "stale" : "fresh");
  },
  onError({ request }) {
    if (request.method === "GET") note("away");
  },
});

// Problem is why a call was refused, in the server's words. Status 0: it was not reached.
export class Problem extends Error {
  readonly status: number;
  readonly field: string | undefined;

  constructor(status: number, message: string, field?: string) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

export async function answer<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call.catch(() => {
    throw new Problem(0, "The server can't be reached. It may be restarting; what you typed is still here.");
  });
  if (!response.ok) throw problemOf(response.status, error);
  return data as T;
}

function problemOf(status: number, body: unknown): Problem {
  const told = body as { message?: string; errors?: { location?: string }[] } | undefined;
  const message = typeof told?.message === "string" && told.message ? told.message : `The server answered ${status}.`;
  return new Problem(status, message, fieldOf(told?.errors?.[0]?.location));
}

// fieldOf is the last name in a JSONPath such as $['rules'][0]['start-port'].
function fieldOf(location: string | undefined): string | undefined {
  return location?.match(/\['([^']+)'\](?:\[\d+\])*$/)?.[1];
}
