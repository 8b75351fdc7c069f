import { ActionIcon, Button, Menu } from "@mantine/core";
import { IconDots, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { answer, api } from "../../api/client";
import { organizations as organizationsQuery } from "../../api/queries";
import type { CreatedKey, Organization } from "../../api/types";
import { Ago } from "../../parts/Ago";
import { useChange } from "../../parts/change";
import { Confirm } from "../../parts/Confirm";
import { Loaded } from "../../parts/Loaded";
import { Section } from "../../parts/Page";
import { Table, type Column } from "../../parts/Table";
import { CreateKey } from "../keys/CreateKey";
import { KeyMade } from "../keys/KeyMade";
import { EditOrganization } from "./EditOrganization";

type Asked = { what: "create" } | { what: "edit" | "key" | "delete"; organization: Organization };

// Organizations are all of the installation's, for its operator.
export function Organizations() {
  const query = useQuery(organizationsQuery);
  const [asked, setAsked] = useState<Asked>();
  const [made, setMade] = useState<CreatedKey>();
  const close = () => setAsked(undefined);
  return (
    <Section
      title="All organizations"
      aside={
        <Button leftSection={<IconPlus size={16} />} onClick={() => setAsked({ what: "create" })} data-shortcut="new">
          New organization
        </Button>
      }
    >
      {asked?.what === "create" && <EditOrganization onClose={close} />}
      {asked?.what === "edit" && (
        <EditOrganization key={asked.organization.id} organization={asked.organization} onClose={close} />
      )}
      {asked?.what === "key" && <CreateKey organization={asked.organization.id} onClose={close} onMade={setMade} />}
      {asked?.what === "delete" && <Delete organization={asked.organization} onClose={close} />}
      {made && <KeyMade made={made} onClose={() => setMade(undefined)} />}
      <Loaded query={query}>
        {(all) => (
          <Table
            label="Organizations"
            columns={columns(setAsked)}
            count={all.length}
            row={(i) => all[i]}
            rowKey={(o) => o.id}
          />
        )}
      </Loaded>
    </Section>
  );
}

function columns(onAsk: (asked: Asked) => void): Column<Organization>[] {
  return [
    { title: "Name", width: "minmax(120px, 1.5fr)", cell: (o) => <strong>{o.name}</strong> },
    {
      title: "Hosts",
      width: "minmax(100px, 1fr)",
      cell: (o) => (o.hosts.includes("*") ? "every host" : o.hosts.join(", ") || "none"),
    },
    { title: "Instances", width: "90px", number: true, cell: (o) => `≤ ${o.quotas.instances.toLocaleString("en")}` },
    {
      title: "Groups",
      width: "90px",
      number: true,
      cell: (o) => `≤ ${o.quotas["security-groups"].toLocaleString("en")}`,
    },
    { title: "Made", width: "130px", cell: (o) => <Ago time={o["created-at"]} /> },
    { title: "Actions", width: "34px", action: true, cell: (o) => <Actions organization={o} onAsk={onAsk} /> },
  ];
}

function Actions({ organization, onAsk }: { organization: Organization; onAsk: (asked: Asked) => void }) {
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${organization.name}`}>
          <IconDots size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => onAsk({ what: "edit", organization })}>Name, quotas and hosts</Menu.Item>
        <Menu.Item onClick={() => onAsk({ what: "key", organization })}>Make a key for it</Menu.Item>
        <Menu.Item color="red" onClick={() => onAsk({ what: "delete", organization })}>
          Delete
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Delete({ organization, onClose }: { organization: Organization; onClose: () => void }) {
  const remove = useChange({
    ask: () => answer(api.DELETE("/organization/{id}", { params: { path: { id: organization.id } } })),
    title: () => `Deleted the organization ${organization.name}`,
    onDone: onClose,
  });
  return (
    <Confirm
      title={`Delete the organization ${organization.name}?`}
      action="Delete"
      opened
      onClose={onClose}
      onConfirm={() => remove.mutate()}
      busy={remove.isPending}
      error={remove.error}
    >
      <p>Its groups, rules and keys go with it; that can’t be undone. Its audit log stays.</p>
    </Confirm>
  );
}
