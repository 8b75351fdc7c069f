import { Badge, Button, SegmentedControl } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { audit } from "../api/queries";
import type { AuditRecord } from "../api/types";
import { Ago } from "../parts/Ago";
import { Notice } from "../parts/Notice";
import { Page } from "../parts/Page";
import { useParam } from "../parts/param";
import { Search } from "../parts/Search";
import { Shimmer } from "../parts/Loaded";
import { Table, type Column } from "../parts/Table";
import { Trouble } from "../parts/Trouble";
import { useCaller } from "../shell/caller";
import { matches } from "../words/flow";
import { RecordDetail } from "./activity/RecordDetail";

export function ActivityPage() {
  const [search] = useParam("search");
  const [log, setLog] = useParam("log");
  const { operator } = useCaller();
  const query = useInfiniteQuery({
    ...audit(log === "installation" ? "installation" : "organization"),
    refetchInterval: 10_000,
  });
  const records = query.data?.pages.flat() ?? [];
  const found = records.filter((r) => matches(textOf(r), search));
  return (
    <Page
      title="Activity"
      about="Who changed what, and who was refused; the newest first"
      actions={
        <>
          <Search label="Filter: who, what, from where" />
          {operator && (
            <SegmentedControl
              aria-label="Log"
              data={[
                { value: "organization", label: "organization" },
                { value: "installation", label: "installation" },
              ]}
              value={log || "organization"}
              onChange={(value) => setLog(value === "organization" ? "" : value)}
            />
          )}
        </>
      }
    >
      {query.error && records.length === 0 && <Trouble error={query.error} retry={() => void query.refetch()} />}
      {query.isPending && <Shimmer />}
      {query.data && found.length === 0 && (
        <Notice title={search ? "No record is like that." : "Nothing has happened yet."} />
      )}
      {found.length > 0 && <Records records={found} />}
      {query.hasNextPage && (
        <Button variant="default" mt="md" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          Older
        </Button>
      )}
    </Page>
  );
}

const textOf = (r: AuditRecord) =>
  [r.action, r["key-name"], r.key, r.remote, r.subject, r.outcome, r.message, r.content].join(" ").toLowerCase();

function Records({ records }: { records: AuditRecord[] }) {
  const [open, setOpen] = useState<number>();
  const columns: Column<AuditRecord>[] = [
    { title: "When", width: "140px", cell: (r) => <Ago time={r.time} /> },
    {
      title: "Who",
      width: "minmax(100px, 1fr)",
      cell: (r) => <span title={r.key}>{r["key-name"] || r.key || "nobody known"}</span>,
    },
    {
      title: "What",
      width: "minmax(200px, 3fr)",
      cell: (r) => (
        <RecordDetail
          record={r}
          open={open === r.sequence}
          onToggle={() => setOpen(open === r.sequence ? undefined : r.sequence)}
        />
      ),
    },
    { title: "From", width: "minmax(100px, 1fr)", cell: (r) => r.remote },
    { title: "Outcome", width: "90px", cell: (r) => <Outcome record={r} /> },
  ];
  return (
    <Table
      label="Activity"
      columns={columns}
      count={records.length}
      row={(i) => records[i]}
      rowKey={(r) => String(r.sequence)}
    />
  );
}

function Outcome({ record }: { record: AuditRecord }) {
  const denied = record.outcome === "denied";
  return (
    <Badge variant="light" color={denied ? "red" : "teal"} tt="none">
      {record.outcome}
      {record.count && record.count > 1 ? ` × ${record.count}` : ""}
    </Badge>
  );
}
