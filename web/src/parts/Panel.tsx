import { Button, Group } from "@mantine/core";
import type { FormEvent, ReactNode } from "react";
import classes from "./Panel.module.css";

export const Panel = ({ children }: { children: ReactNode }) => <div className={classes.panel}>{children}</div>;

// Form is a form in one line, where there is room for it.
export function Form({ label, onSubmit, children }: { label: string; onSubmit: () => void; children: ReactNode }) {
  const submit = (e: FormEvent) => {
    e.preventDefault();
    onSubmit();
  };
  return (
    <form aria-label={label} className={classes.form} onSubmit={submit} noValidate>
      {children}
    </form>
  );
}

// FormButtons stand beside the fields, not beside their labels.
export const FormButtons = ({ children }: { children: ReactNode }) => <div className={classes.button}>{children}</div>;

interface SubmitProps {
  action: string; // what the button says
  busy: boolean;
  onClose: () => void;
  close?: string;
}

// Submit is how a form that opens on a page is sent or left.
export function Submit({ action, busy, onClose, close = "Cancel" }: SubmitProps) {
  return (
    <FormButtons>
      <Group gap="xs">
        <Button type="submit" loading={busy}>
          {action}
        </Button>
        <Button variant="default" onClick={onClose}>
          {close}
        </Button>
      </Group>
    </FormButtons>
  );
}

// Facts are names and what is true of them.
export function Facts({ facts }: { facts: [name: string, fact: ReactNode][] }) {
  return (
    <dl className={classes.facts}>
      {facts.map(([name, fact]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{fact}</dd>
        </div>
      ))}
    </dl>
  );
}

export const List = ({ children }: { children: ReactNode }) => <ul className={classes.list}>{children}</ul>;
