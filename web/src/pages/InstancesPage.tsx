import { Button } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { group as groupQuery, instanceSummaries } from "../api/queries";
import type { Instance } from "../api/types";
import { InstanceState } from "../parts/InstanceState";
import { Shimmer } from "../parts/Loaded";
import { GroupName, GroupNames, InstanceName } from "../parts/Names";
import { Notice } from "../parts/Notice";
import { Page } from "../parts/Page";
import { usePages } from "../parts/pages";
import { useParam } from "../parts/param";
import { Search } from "../parts/Search";
import { Table, type Column } from "../parts/Table";
import { Trouble } from "../parts/Trouble";
import { useMay } from "../shell/caller";
import { count } from "../words/time";
import { CreateInstance } from "./instance/CreateInstance";

export function InstancesPage() {
  const [search] = useParam("search");
  const [group, setGroup] = useParam("group");
  const [creating, setCreating] = useState(false);
  const may = useMay("instances");
  const instances = usePages(
    (offset, limit) => instanceSummaries(search, group || undefined, offset, limit),
    (page) => page.instances,
  );
  return (
    <Page
      title="Instances"
      about={
        instances.total === undefined
          ? " "
          : `${count(instances.total, "instance")}${search ? ` with “${search}”` : ""}`
      }
      actions={
        <>
          <Search label="Search: name, address, host" />
          {may && (
            <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)} data-shortcut="new">
              New instance
            </Button>
          )}
        </>
      }
    >
      {creating && <CreateInstance onClose={() => setCreating(false)} />}
      {group && <Only group={group} onAll={() => setGroup("")} />}
      {instances.error && <Trouble error={instances.error} retry={instances.retry} />}
      {instances.total === undefined && !instances.error && <Shimmer />}
      {instances.total === 0 && <Nothing filtered={search !== "" || group !== ""} />}
      {instances.total !== undefined && instances.total > 0 && (
        <Table
          label="Instances"
          columns={columns}
          count={instances.total}
          row={instances.row}
          rowKey={(i) => i.id}
          onWindow={instances.onWindow}
        />
      )}
    </Page>
  );
}

function Only({ group, onAll }: { group: string; onAll: () => void }) {
  const { data } = useQuery(groupQuery(group));
  return (
    <p>
      Only members of {data ? <GroupName group={data} /> : "one group"}.{" "}
      <Button size="compact-sm" variant="light" onClick={onAll}>
        Show all instances
      </Button>
    </p>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  if (filtered) return <Notice title="No instance is like that." />;
  return (
    <Notice title="There are no instances yet.">
      Say what runs on your hosts: an instance’s interface, MAC and addresses. From then on it is filtered.
    </Notice>
  );
}

const columns: Column<Instance>[] = [
  { title: "Name", width: "minmax(140px, 1.5fr)", cell: (i) => <InstanceName instance={i} /> },
  { title: "State", width: "100px", cell: (i) => <InstanceState state={i.state} /> },
  { title: "Host", width: "minmax(80px, 1fr)", cell: (i) => i.host },
  { title: "Addresses", width: "minmax(150px, 2fr)", cell: (i) => addresses(i).join(", ") },
  { title: "Groups", width: "minmax(120px, 2fr)", cell: (i) => <GroupNames groups={i["security-groups"]} /> },
];

const addresses = (i: Instance) => i.interfaces.flatMap((n) => [...n.ipv4, ...n.ipv6]);
