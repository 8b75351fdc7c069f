import { createContext, useContext, type ReactNode } from "react";
import type { Scope, Session } from "../api/types";

const Context = createContext<Session | null>(null);

export function CallerProvider({ caller, children }: { caller: Session; children: ReactNode }) {
  return <Context value={caller}>{children}</Context>;
}

// useCaller is who is signed in.
export function useCaller(): Session {
  const caller = useContext(Context);
  if (!caller) throw new Error("useCaller outside of CallerProvider");
  return caller;
}

// useMay tells whether the caller has the scope; admin includes all others.
export function useMay(scope: Scope): boolean {
  const { scopes } = useCaller();
  return scopes.includes(scope) || scopes.includes("admin");
}
