import { Badge } from "@mantine/core";
import type { SeenFlow } from "../api/flows";
import { localOf, reasonWords, remoteOf } from "../words/flow";
import { Ago } from "./Ago";
import { GroupName, InstanceName } from "./Names";
import { Table, type Column } from "./Table";

// FlowTable shows flow events, the newest first.
export function FlowTable({ events }: { events: SeenFlow[] }) {
  return (
    <Table label="Flows" columns={columns} count={events.length} row={(i) => events[i]} rowKey={(e) => String(e.key)} />
  );
}

const columns: Column<SeenFlow>[] = [
  { title: "When", width: "130px", cell: (e) => <Ago time={e.time} /> },
  { title: "Verdict", width: "90px", cell: (e) => <Verdict verdict={e.verdict} /> },
  { title: "Instance", width: "minmax(130px, 1fr)", cell: (e) => <Local event={e} /> },
  { title: "Direction", unseen: true, width: "40px", cell: (e) => (e.direction === "ingress" ? "from" : "to") },
  { title: "Other end", width: "minmax(150px, 1.2fr)", cell: (e) => <Remote event={e} /> },
  { title: "Protocol", width: "80px", cell: (e) => e.protocol?.toUpperCase() },
  { title: "Why", width: "minmax(150px, 1.4fr)", cell: (e) => <Why event={e} /> },
];

export function Verdict({ verdict }: { verdict: "pass" | "drop" }) {
  const passes = verdict === "pass";
  return (
    <Badge variant="light" color={passes ? "teal" : "red"} tt="none">
      {passes ? "allowed" : "denied"}
    </Badge>
  );
}

function Local({ event }: { event: SeenFlow }) {
  return (
    <>
      <InstanceName instance={event.instance} /> <small>{localOf(event)}</small>
    </>
  );
}

function Remote({ event }: { event: SeenFlow }) {
  const instance = event["remote-instance"];
  return (
    <>
      {instance && <InstanceName instance={instance} />} <small>{remoteOf(event)}</small>
    </>
  );
}

function Why({ event }: { event: SeenFlow }) {
  const group = event["security-group"];
  if (!group) return reasonWords(event.reason);
  return (
    <>
      a rule of <GroupName group={group} />
    </>
  );
}
