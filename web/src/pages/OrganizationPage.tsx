import { Progress } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { quotas as quotasQuery } from "../api/queries";
import { Loaded } from "../parts/Loaded";
import { Page, Section } from "../parts/Page";
import { Facts, Panel } from "../parts/Panel";
import { Table, type Column } from "../parts/Table";
import { useCaller } from "../shell/caller";
import { Organizations } from "./organization/Organizations";

export function OrganizationPage() {
  const caller = useCaller();
  const query = useQuery(quotasQuery);
  return (
    <Page title={`Organization ${caller.organization.name}`} about="What it may have, and what it has">
      <Panel>
        <Facts
          facts={[
            ["You", `${caller.name}, by key ${caller.key}`],
            [
              "You may",
              [caller.operator ? "operate the installation" : "", ...caller.scopes].filter(Boolean).join(", "),
            ],
            ["Zone", caller.zone],
            ["Instances change groups", caller["group-changes"] === "live" ? "at any time" : "while stopped"],
            ["Server", caller["server-version"]],
          ]}
        />
      </Panel>
      <Section title="Quotas">
        <Loaded query={query}>
          {(quotas) => (
            <Table
              label="Quotas"
              columns={columns}
              count={quotas.length}
              row={(i) => quotas[i]}
              rowKey={(q) => q.resource}
            />
          )}
        </Loaded>
      </Section>
      {caller.operator && <Organizations />}
    </Page>
  );
}

interface Quota {
  resource: string;
  usage: number;
  limit: number;
}

const titles: Record<string, string> = {
  "security-group": "Groups",
  "security-group-rule": "Rules, in the group that has most",
  "instance-security-group": "Groups, of the instance that has most",
  instance: "Instances",
  "api-key": "Keys",
};

const columns: Column<Quota>[] = [
  { title: "What", width: "minmax(160px, 2fr)", cell: (q) => titles[q.resource] ?? q.resource },
  { title: "Has", width: "90px", number: true, cell: (q) => q.usage.toLocaleString("en") },
  { title: "May have", width: "90px", number: true, cell: (q) => q.limit.toLocaleString("en") },
  { title: "Used", width: "minmax(120px, 1.5fr)", cell: (q) => <Used quota={q} /> },
];

const tight = 90; // percent from which on it is time to ask for more

function Used({ quota }: { quota: Quota }) {
  const percent = quota.limit > 0 ? Math.min(100, (quota.usage / quota.limit) * 100) : 100;
  return (
    <Progress
      value={percent}
      color={percent >= tight ? "red" : "teal"}
      aria-label={`${titles[quota.resource] ?? quota.resource}: ${Math.round(percent)} % used`}
      miw={100}
    />
  );
}
