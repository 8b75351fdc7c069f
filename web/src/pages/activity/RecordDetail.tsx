import { UnstyledButton } from "@mantine/core";
import { IconChevronDown, IconChevronRight } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { operation } from "../../api/queries";
import type { AuditRecord } from "../../api/types";
import { outcomeWords } from "../../words/operation";
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
          {record.action.replaceAll("-", " ")} <strong>{nameOf(record)}</strong>
        </span>
      </UnstyledButton>
      {record.message && <div className={classes.message}>{record.message}</div>}
      {open && <Detail record={record} />}
    </>
  );
}

// nameOf is what the changed object is called, or else its id.
function nameOf({ after, before, subject }: AuditRecord): string {
  const name = after?.["name"] ?? before?.["name"];
  return typeof name === "string" ? name : (subject ?? "");
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
