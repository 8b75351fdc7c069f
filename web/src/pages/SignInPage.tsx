import { Button, Code, PasswordInput, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useEffect, useState, type FormEvent } from "react";
import { answer, api } from "../api/client";
import { queries } from "../api/cache";
import { session } from "../api/queries";
import { Refusal } from "../parts/Refusal";
import classes from "./SignInPage.module.css";

export function SignInPage() {
  const [key, setKey] = useState("");
  const [secret, setSecret] = useState("");
  useEffect(() => {
    document.title = "Sign in · Gabion";
  }, []);
  const signIn = useMutation({
    mutationFn: () => answer(api.POST("/session", { body: { key: key.trim(), secret: secret.trim() } })),
    onSuccess: (caller) => {
      queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== session.queryKey[0] }); // of another caller
      queries.setQueryData(session.queryKey, caller);
    },
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    signIn.mutate();
  };
  return (
    <main className={classes.page}>
      <form className={classes.card} onSubmit={submit}>
        <img src="/favicon.svg" width={44} height={44} alt="" />
        <h1 className={classes.title}>Sign in to Gabion</h1>
        <TextInput
          label="API key"
          placeholder="EXO…"
          autoComplete="username"
          autoFocus
          required
          value={key}
          onChange={(e) => setKey(e.currentTarget.value)}
        />
        <PasswordInput
          label="Secret"
          autoComplete="current-password"
          required
          value={secret}
          onChange={(e) => setSecret(e.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": "Show the secret" }}
        />
        <Refusal error={signIn.error} />
        <Button type="submit" fullWidth mt="sm" loading={signIn.isPending}>
          Sign in
        </Button>
        <p className={classes.hint}>
          The server wrote the operator’s key into <Code>admin.env</Code> in its data directory. Other keys are made on
          the page Keys, or with <Code>gabion key create</Code>.
        </p>
      </form>
    </main>
  );
}
