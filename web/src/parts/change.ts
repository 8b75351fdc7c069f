import { useMutation } from "@tanstack/react-query";
import { queries } from "../api/cache";
import { Problem } from "../api/client";
import type { Operation } from "../api/types";
import { report } from "../shell/outcome";

interface Change<Asked> {
  ask: (asked: Asked) => Promise<Operation>;
  title: (asked: Asked) => string; // what was done, once it was
  undo?: (asked: Asked, op: Operation) => (() => void) | undefined;
  onDone?: (op: Operation) => void;
}

// useChange asks for a change, shows what becomes of it, and reads anew what it may have changed.
export function useChange<Asked = void>({ ask, title, undo, onDone }: Change<Asked>) {
  const mutation = useMutation<Operation, Error, Asked>({
    mutationFn: ask,
    onSuccess: (op, asked) => {
      report(title(asked), op, undo?.(asked, op));
      onDone?.(op);
    },
    onError: () => void queries.invalidateQueries(), // of a change in several steps, some may have been taken
  });
  return { ...mutation, problem: mutation.error instanceof Problem ? mutation.error : undefined };
}

// problemAt is the problem's message if it is with one of the fields.
export function problemAt(problem: Problem | undefined, ...fields: string[]): string | undefined {
  return problem?.field && fields.includes(problem.field) ? problem.message : undefined;
}
