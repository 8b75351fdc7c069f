import { ActionIcon, Badge, Text } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { addRules, deleteRule } from "../../api/changes";
import { hits as hitsQuery } from "../../api/queries";
import type { Direction, Group, Rule, RuleHit } from "../../api/types";
import { Ago, useNow } from "../../parts/Ago";
import { useChange } from "../../parts/change";
import { Confirm } from "../../parts/Confirm";
import { Notice } from "../../parts/Notice";
import { Section } from "../../parts/Page";
import { useParam } from "../../parts/param";
import { Refusal } from "../../parts/Refusal";
import { RuleSentence } from "../../parts/RuleSentence";
import { Table, type Column } from "../../parts/Table";
import { useMay } from "../../shell/caller";
import { attempt, report } from "../../shell/outcome";
import { matches } from "../../words/flow";
import { asNew, sentence } from "../../words/rule";
import { daysSince } from "../../words/time";

interface RuleListProps {
  group: Group;
  direction: Direction;
  title: string;
  children: ReactNode; // how rules are added
}

// RuleList is one of a group's two lists of rules, with what each is hit by.
export function RuleList({ group, direction, title, children }: RuleListProps) {
  const [search] = useParam("search");
  const rules = (group.rules ?? []).filter((r) => r["flow-direction"] === direction);
  const found = rules.filter((r) =>
    matches(`${sentence(r)} ${r.network ?? ""} ${r.description ?? ""}`.toLowerCase(), search),
  );
  return (
    <Section title={title} aside={<Text c="dimmed">{direction}</Text>}>
      {children}
      {rules.length === 0 && <None direction={direction} />}
      {rules.length > 0 && found.length === 0 && <Notice title={`No ${direction} rule has “${search}” in it.`} />}
      {found.length > 0 && <Rules group={group} rules={found} direction={direction} last={rules.length === 1} />}
    </Section>
  );
}

function None({ direction }: { direction: Direction }) {
  if (direction === "ingress") return <Notice title="Nobody may reach its instances." />;
  return (
    <Notice title="Its instances may reach everything.">
      That is so as long as none of their groups has an egress rule. The first one closes all that is not named.
    </Notice>
  );
}

interface RulesProps {
  group: Group;
  rules: Rule[];
  direction: Direction;
  last: boolean; // the only rule of its direction
}

function Rules({ group, rules, direction, last }: RulesProps) {
  const may = useMay("rules");
  const hits = useQuery(hitsQuery(group.id));
  const byRule = new Map(hits.data?.map((h) => [h.rule, h]));
  const [asked, setAsked] = useState<Rule>();
  const remove = useDelete(group);
  const ask = (rule: Rule) => (direction === "egress" && last ? setAsked(rule) : remove.mutate(rule));
  const columns: Column<Rule>[] = [
    { title: "Rule", width: "minmax(220px, 1fr)", cell: (rule) => <RuleSentence rule={rule} /> },
    {
      title: "Hits",
      width: "120px",
      number: true,
      cell: (rule) => (hits.data ? (byRule.get(rule.id)?.packets ?? 0).toLocaleString("en") : "not known"),
    },
    { title: "Last hit", width: "170px", cell: (rule) => hits.data && <LastHit hit={byRule.get(rule.id)} /> },
    ...(may ? [deletion(ask)] : []),
  ];
  return (
    <>
      <Refusal error={remove.error} />
      <Table
        label={`Rules: ${direction}`}
        columns={columns}
        count={rules.length}
        row={(i) => rules[i]}
        rowKey={(r) => r.id}
      />
      <Confirm
        title="Open all egress again?"
        action="Delete it, and open everything"
        opened={asked !== undefined}
        onClose={() => setAsked(undefined)}
        onConfirm={() => {
          if (asked) remove.mutate(asked);
          setAsked(undefined);
        }}
      >
        <p>
          This is the group’s last egress rule. Without it, its instances may reach everything, unless another of their
          groups has an egress rule.
        </p>
      </Confirm>
    </>
  );
}

function useDelete(group: Group) {
  return useChange<Rule>({
    ask: (rule) => deleteRule(group.id, rule.id),
    title: (rule) => `${group.name}: ${sentence(rule)} deleted`,
    undo: (rule) => () =>
      attempt(`${group.name}: ${sentence(rule)} is not back`, async () =>
        report(`${group.name}: ${sentence(rule)} added again`, await addRules(group.id, [asNew(rule)])),
      ),
  });
}

function deletion(onDelete: (rule: Rule) => void): Column<Rule> {
  return {
    title: "Delete",
    width: "34px",
    action: true,
    cell: (rule) => (
      <ActionIcon variant="subtle" color="gray" aria-label={`Delete ${sentence(rule)}`} onClick={() => onDelete(rule)}>
        <IconTrash size={17} />
      </ActionIcon>
    ),
  };
}

const forgotten = 90; // days after which a rule that nothing hits may have outlived its use

function LastHit({ hit }: { hit: RuleHit | undefined }) {
  const now = useNow();
  if (!hit?.["last-hit-at"]) return <Text span c="dimmed">none yet</Text>; // prettier-ignore
  if (daysSince(hit["last-hit-at"], now) < forgotten) return <Ago time={hit["last-hit-at"]} />;
  return (
    <Badge variant="light" color="yellow" tt="none" title="It may have outlived its use">
      no hit since <Ago time={hit["last-hit-at"]} />
    </Badge>
  );
}
