import { useQueries, type UseQueryOptions } from "@tanstack/react-query";
import { useCallback, useState } from "react";

const size = 100; // rows of one page

interface Pages<Row> {
  total: number | undefined; // undefined: nothing was read yet
  row: (index: number) => Row | undefined;
  onWindow: (first: number, last: number) => void;
  error: Error | null;
  retry: () => void;
}

// usePages reads a long list a page at a time, those pages that are in sight.
export function usePages<Page extends { total: number }, Row>(
  page: (offset: number, limit: number) => UseQueryOptions<Page, Error, Page, any>, // eslint-disable-line @typescript-eslint/no-explicit-any -- keys differ
  rows: (page: Page) => Row[],
): Pages<Row> {
  const [[first, last], setWindow] = useState<[number, number]>([0, 0]);
  const begin = Math.floor(first / size);
  const inSight = Array.from({ length: Math.floor(last / size) - begin + 1 }, (_, i) => begin + i);
  const numbers = [...new Set([0, ...inSight])]; // the first page knows how many there are, wherever one jumps to
  const answers = useQueries({
    queries: numbers.map((n) => ({ ...page(n * size, size), placeholderData: (old: Page | undefined) => old })),
  });
  const onWindow = useCallback((first: number, last: number) => setWindow([first, last]), []);
  const row = (index: number): Row | undefined => {
    const answer = answers[numbers.indexOf(Math.floor(index / size))];
    return answer?.data && !answer.isPlaceholderData ? rows(answer.data)[index % size] : undefined;
  };
  const known = answers.find((a) => a.data);
  return {
    total: known?.data?.total,
    row,
    onWindow,
    error: known ? null : (answers.find((a) => a.error)?.error ?? null),
    retry: () => answers.forEach((a) => void a.refetch()),
  };
}
