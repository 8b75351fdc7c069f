import { ActionIcon, Badge, Button } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { groupSummaries } from "../api/queries";
import type { GroupSummary } from "../api/types";
import { GroupName } from "../parts/Names";
import { Notice } from "../parts/Notice";
import { Page } from "../parts/Page";
import { usePages } from "../parts/pages";
import { useParam } from "../parts/param";
import { Search } from "../parts/Search";
import { Shimmer } from "../parts/Loaded";
import { Table, type Column } from "../parts/Table";
import { Trouble } from "../parts/Trouble";
import { useMay } from "../shell/caller";
import { count } from "../words/time";
import { CreateGroup } from "./group/CreateGroup";
import { DeleteGroup } from "./group/DeleteGroup";
import classes from "./GroupsPage.module.css";

export function GroupsPage() {
  const [search] = useParam("search");
  const [creating, setCreating] = useState(false);
  const [deleting, setDeleting] = useState<GroupSummary>();
  const may = useMay("rules");
  const groups = usePages(
    (offset, limit) => groupSummaries(search, offset, limit),
    (page) => page["security-groups"],
  );
  return (
    <Page
      title="Groups"
      about={groups.total === undefined ? " " : describe(groups.total, search)}
      actions={
        <>
          <Search label="Search groups" />
          {may && (
            <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)} data-shortcut="new">
              New group
            </Button>
          )}
        </>
      }
    >
      {creating && <CreateGroup onClose={() => setCreating(false)} />}
      {groups.error && <Trouble error={groups.error} retry={groups.retry} />}
      {groups.total === undefined && !groups.error && <Shimmer />}
      {groups.total === 0 && <Nothing search={search} />}
      {groups.total !== undefined && groups.total > 0 && (
        <Table
          label="Groups"
          columns={[...columns, ...(may ? [deletion(setDeleting)] : [])]}
          count={groups.total}
          row={groups.row}
          rowKey={(g) => g.id}
          onWindow={groups.onWindow}
        />
      )}
      {deleting && <DeleteGroup group={deleting} onClose={() => setDeleting(undefined)} />}
    </Page>
  );
}

const describe = (total: number, search: string) =>
  search ? `${count(total, "group")} with “${search}”` : `${count(total, "group")}: named sets of rules for instances`;

function Nothing({ search }: { search: string }) {
  if (search) return <Notice title={`No group has “${search}” in its name or description.`} />;
  return <Notice title="There are no groups yet.">Make one for each role: web, db, and what is common to all.</Notice>;
}

const columns: Column<GroupSummary>[] = [
  { title: "Name", width: "minmax(200px, 3fr)", cell: (g) => <Named group={g} /> },
  { title: "Rules", width: "80px", number: true, cell: (g) => g.rules.toLocaleString("en") },
  { title: "Instances", width: "90px", number: true, cell: (g) => g.members.toLocaleString("en") },
  { title: "Used by groups", width: "110px", number: true, cell: (g) => g["used-by"].toLocaleString("en") },
  { title: "Hits, last hour", width: "120px", number: true, cell: (g) => g["hits-last-hour"].toLocaleString("en") },
];

function deletion(onDelete: (group: GroupSummary) => void): Column<GroupSummary> {
  return {
    title: "Delete",
    width: "34px",
    action: true,
    cell: (g) =>
      !g.default && (
        <ActionIcon variant="subtle" color="gray" aria-label={`Delete ${g.name}`} onClick={() => onDelete(g)}>
          <IconTrash size={17} />
        </ActionIcon>
      ),
  };
}

function Named({ group }: { group: GroupSummary }) {
  const unused = group.members === 0 && group["used-by"] === 0 && !group.default;
  return (
    <>
      <span className={classes.name}>
        <GroupName group={group} />
        {group.primary && (
          <Badge variant="light" tt="none" title="New instances that name no group get this one">
            primary
          </Badge>
        )}
        {unused && (
          <Badge variant="light" color="gray" tt="none" title="No instance belongs to it, and no rule names it">
            nobody uses it
          </Badge>
        )}
      </span>
      {group.description && <span className={classes.description}>{group.description}</span>}
    </>
  );
}
