import { addRules, deleteRule } from "../../api/changes";
import { queries } from "../../api/cache";
import { group as groupQuery } from "../../api/queries";
import type { Group, NewRule } from "../../api/types";
import { useChange } from "../../parts/change";
import { attempt, report } from "../../shell/outcome";
import { equal, sentence } from "../../words/rule";
import { count } from "../../words/time";

const most = 100; // rules of one request

// useAddRules adds rules to a group, all or none of each hundred; they can be undone.
export function useAddRules(group: Group, onDone?: () => void) {
  return useChange<NewRule[]>({
    ask: async (rules) => {
      for (let i = 0; i + most < rules.length; i += most) await addRules(group.id, rules.slice(i, i + most));
      const rest = rules.length % most || most;
      return addRules(group.id, rules.slice(-rest));
    },
    title: (rules) => `${group.name}: ${ruleWords(rules)} added`,
    undo: (rules) => () => attempt(`${group.name}: ${ruleWords(rules)} not taken back`, () => takeBack(group, rules)),
    ...(onDone ? { onDone } : {}),
  });
}

const ruleWords = (rules: NewRule[]) =>
  rules[0] && rules.length === 1 ? sentence(rules[0]) : count(rules.length, "rule");

async function takeBack(group: Group, added: NewRule[]) {
  const now = await queries.fetchQuery({ ...groupQuery(group.id), staleTime: 0 });
  for (const rule of now.rules ?? []) {
    if (added.some((r) => equal(r, rule)))
      report(`${group.name}: ${sentence(rule)} deleted`, await deleteRule(group.id, rule.id));
  }
}
