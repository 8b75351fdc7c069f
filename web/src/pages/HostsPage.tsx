import { Badge, Button } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { hosts as hostsQuery } from "../api/queries";
import type { Host } from "../api/types";
import { Ago } from "../parts/Ago";
import { Loaded } from "../parts/Loaded";
import { Notice } from "../parts/Notice";
import { Page } from "../parts/Page";
import { useParam } from "../parts/param";
import { Search } from "../parts/Search";
import { Table, type Column } from "../parts/Table";
import { Warning } from "../parts/Warning";
import { count } from "../words/time";
import { AddHost } from "./hosts/AddHost";

export function HostsPage() {
  const query = useQuery(hostsQuery);
  const [adding, setAdding] = useState(false);
  return (
    <Page
      title="Hosts"
      about={query.data && summary(query.data)}
      actions={
        <>
          <Search label="Search hosts" />
          <Button leftSection={<IconPlus size={16} />} onClick={() => setAdding(true)} data-shortcut="new">
            Let a host join
          </Button>
        </>
      }
    >
      {adding && <AddHost onClose={() => setAdding(false)} />}
      <Loaded query={query}>{(hosts) => <Hosts hosts={hosts} />}</Loaded>
    </Page>
  );
}

function summary(hosts: Host[]): string {
  const well = hosts.filter((h) => h.state === "online" && !h.behind).length;
  return `${well} of ${count(hosts.length, "host")} online and enforcing the newest policy`;
}

function Hosts({ hosts }: { hosts: Host[] }) {
  const [search] = useParam("search");
  const found = hosts.filter((h) =>
    `${h.name} ${h.state} ${h.error ?? ""}`.toLowerCase().includes(search.toLowerCase()),
  );
  if (hosts.length === 0) {
    return (
      <Notice title="No host has joined yet.">Make a token, and start gabion agent with it on a hypervisor.</Notice>
    );
  }
  return (
    <>
      {hosts
        .filter((h) => h.error)
        .map((h) => (
          <Warning key={h.name} title={`${h.name} could not apply everything`}>
            {h.error}
          </Warning>
        ))}
      <Table label="Hosts" columns={columns} count={found.length} row={(i) => found[i]} rowKey={(h) => h.name} />
    </>
  );
}

const colors = { online: "teal", waiting: "gray", offline: "yellow", failing: "red" } as const;

const columns: Column<Host>[] = [
  { title: "Name", width: "minmax(110px, 1.2fr)", cell: (h) => <strong>{h.name}</strong> },
  {
    title: "State",
    width: "90px",
    cell: (h) => (
      <Badge variant="light" color={colors[h.state]} tt="none">
        {h.state}
      </Badge>
    ),
  },
  { title: "Seen", width: "120px", cell: (h) => <Ago time={h["last-seen"]} /> },
  { title: "Instances", width: "80px", number: true, cell: (h) => h.instances },
  { title: "Policy", width: "minmax(150px, 1.2fr)", cell: (h) => <Policy host={h} /> },
  {
    title: "Last change",
    width: "100px",
    number: true,
    cell: (h) => h.milliseconds !== undefined && `${h.milliseconds} ms`,
  },
  { title: "Protection", width: "minmax(150px, 1.6fr)", cell: (h) => <Protection host={h} /> },
];

function Policy({ host }: { host: Host }) {
  const digests = [
    host["policy-digest"] && `policy ${host["policy-digest"]}`,
    host["program-digest"] && `programs ${host["program-digest"]}`,
  ];
  return (
    <span title={digests.filter(Boolean).join("\n") || undefined}>
      {host.behind ? <strong>behind</strong> : host.revision === 0 ? "none yet" : "current"}, revision {host.revision}
      {host["enforced-at"] && (
        <>
          {" since "}
          <Ago time={host["enforced-at"]} />
        </>
      )}
    </span>
  );
}

function Protection({ host }: { host: Host }) {
  const open = host["unprotected-ports"] ?? [];
  const repairs = host.repairs ? `${count(host.repairs, "repair")} of what another tool took away` : "";
  return (
    <>
      {open.length > 0 && (
        <strong>
          {open.length === 1 ? "unprotected port" : "unprotected ports"}: {open.join(", ")}.{" "}
        </strong>
      )}
      {[host.protection, repairs].filter(Boolean).join("; ")}
    </>
  );
}
