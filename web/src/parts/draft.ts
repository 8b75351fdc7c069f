import { useCallback, useState } from "react";

// useDraft is what was typed into a form. It outlives the page until it is cleared,
// so that nothing typed is lost.
export function useDraft<T extends object>(name: string, empty: T): [T, (change: Partial<T>) => void, () => void] {
  const [draft, setDraft] = useState<T>(() => ({ ...empty, ...stored(name) }));
  const change = useCallback(
    (part: Partial<T>) =>
      setDraft((old) => {
        const next = { ...old, ...part };
        sessionStorage.setItem(name, JSON.stringify(next));
        return next;
      }),
    [name],
  );
  const clear = () => {
    sessionStorage.removeItem(name);
    setDraft(empty);
  };
  return [draft, change, clear];
}

function stored(name: string): object {
  try {
    return JSON.parse(sessionStorage.getItem(name) ?? "{}") as object;
  } catch {
    return {};
  }
}
