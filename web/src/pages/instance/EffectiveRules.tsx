import { useQueries } from "@tanstack/react-query";
import { group as groupQuery } from "../../api/queries";
import type { Direction, Reference, Rule } from "../../api/types";
import { GroupName } from "../../parts/Names";
import { Notice } from "../../parts/Notice";
import { Section } from "../../parts/Page";
import { RuleSentence } from "../../parts/RuleSentence";
import { Table, type Column } from "../../parts/Table";

interface Effective {
  rule: Rule;
  origin: Reference; // the group that holds it
}

// EffectiveRules are the rules of all the instance's groups together, which is what holds.
export function EffectiveRules({ groups }: { groups: Reference[] }) {
  const answers = useQueries({ queries: groups.map((g) => groupQuery(g.id)) });
  const rules = answers.flatMap(({ data }) => (data?.rules ?? []).map((rule) => ({ rule, origin: data as Reference })));
  if (answers.some((a) => a.isPending)) return null;
  return (
    <>
      <Direction title="Who may reach it" rules={rules} direction="ingress" none="Nobody may reach it." />
      <Direction title="Whom it may reach" rules={rules} direction="egress" none="It may reach everything." />
    </>
  );
}

interface DirectionProps {
  title: string;
  rules: Effective[];
  direction: Direction;
  none: string;
}

function Direction({ title, rules, direction, none }: DirectionProps) {
  const own = rules.filter((r) => r.rule["flow-direction"] === direction);
  return (
    <Section title={title}>
      {own.length === 0 && <Notice title={none} />}
      {own.length > 0 && (
        <Table label={title} columns={columns} count={own.length} row={(i) => own[i]} rowKey={(r) => r.rule.id} />
      )}
    </Section>
  );
}

const columns: Column<Effective>[] = [
  { title: "Rule", width: "minmax(220px, 3fr)", cell: ({ rule }) => <RuleSentence rule={rule} /> },
  { title: "By its group", width: "minmax(110px, 1fr)", cell: ({ origin }) => <GroupName group={origin} /> },
];
