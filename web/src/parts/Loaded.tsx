import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import classes from "./Loaded.module.css";
import { Trouble } from "./Trouble";

interface LoadedProps<T> {
  query: UseQueryResult<T>;
  children: (data: T) => ReactNode;
}

// Loaded shows what was read; until then nothing for a moment, then a shimmer.
export function Loaded<T>({ query, children }: LoadedProps<T>) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Trouble error={query.error} retry={() => void query.refetch()} />;
  return <Shimmer />;
}

export const Shimmer = () => <div className={classes.shimmer} role="status" aria-label="Loading" />;
