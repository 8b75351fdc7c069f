import { UnstyledButton } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { group, operation } from "../../api/queries";
import type { AuditRecord, Rule } from "../../api/types";
import { outcomeWords } from "../../words/operation";
import { sentence } from "../../words/rule";
import { count } from "../../words/time";
import classes from "./RecordDetail.module.css";

interface RecordDetailProps {
  record: AuditRecord;
  open: boolean;
  onToggle: () => void;
}

// RecordDetail says what was done; opened, how the object was before and after, and how far it is enforced.
export function RecordDetail({ record, open, onToggle }: RecordDetailProps) {
  const Chevron = open ? IconChevronDown : IconChevronRight;
  return (
    <>
      <UnstyledButton className={classes.toggle} onClick={onToggle} aria-expanded={open}>
        <Chevron size={16} aria-hidden />
        <span>
          {record.action.replaceAll("-", " ")} <Subject record={record} />
        </span>
      </UnstyledButton>
      {record.message && <div className={classes.message}>{record.message}</div>}
      {open && <Detail record={record} />}
    </>
  );
}

// Subject is what was changed: by its name as it was then, and rules as sentences.
function Subject({ record }: { record: AuditRecord }) {
  const object = record.after ?? record.before;
  const rules = object?.["rules"];
  if (Array.isArray(rules)) return <Rules rules={rules as Rule[]} group={record.subject ?? ""} />;
  const name = object?.["name"];
  return <strong>{typeof name === "string" ? name : record.subject}</strong>;
}

function Rules({ rules, group: id }: { rules: Rule[]; group: string }) {
  const { data } = useQuery({ ...group(id), retry: false, staleTime: Infinity });
  const [first] = rules;
  return (
    <>
      <strong>{data?.name ?? id}</strong>
      {first && ": "}
      {rules.length === 1 && first ? <Sentence rule={first} /> : count(rules.length, "rule")}
    </>
  );
}

// Sentence is a rule in words. A record has only the number of the group that the rule names.
function Sentence({ rule }: { rule: Rule }) {
  const peer = rule["security-group"];
  const { data } = useQuery({
    ...group(peer?.id ?? ""),
    enabled: peer !== undefined,
    retry: false,
    staleTime: Infinity,
  });
  return sentence(data ? { ...rule, "security-group": { id: data.id, name: data.name } } : rule);
}

function Detail({ record }: { record: AuditRecord }) {
  const id = record.operation;
  const { data } = useQuery({ ...operation(id ?? ""), enabled: id !== undefined && id !== "" });
  return (
    <>
      {data && <div>{outcomeWords(data)}</div>}
      <div className={classes.sides}>
        <Side title="Before" object={record.before} />
        <Side title="After" object={record.after} />
      </div>
    </>
  );
}

function Side({ title, object }: { title: string; object: object | undefined }) {
  return (
    <div>
      <div className={classes.title}>{title}</div>
      {object ? (
        <pre className={classes.object} tabIndex={0} aria-label={title}>
          {JSON.stringify(object, null, 2)}
        </pre>
      ) : (
        "nothing"
      )}
    </div>
  );
}
