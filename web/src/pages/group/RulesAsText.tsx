import { Button, CopyButton, Group as Row, Modal, Textarea } from "@mantine/core";
import { useState } from "react";
import type { Group } from "../../api/types";
import { List } from "../../parts/Panel";
import { Refusal } from "../../parts/Refusal";
import { useMay } from "../../shell/caller";
import { equal } from "../../words/rule";
import { readRules, writeRules } from "../../words/rulebook";
import { count } from "../../words/time";
import { useAddRules } from "./addRules";
import { Hurts, useHurt } from "./Hurts";

// RulesAsText shows a group's rules as text, to copy; and adds those that are pasted.
export function RulesAsText({ group, onClose }: { group: Group; onClose: () => void }) {
  const own = group.rules ?? [];
  const [text, setText] = useState(() => writeRules(own));
  const may = useMay("rules");
  const add = useAddRules(group, onClose);
  const hurt = useHurt(group);
  const { rules, mistakes } = readRules(text);
  const fresh = rules.filter((r) => !own.some((o) => equal(o, r)));
  return (
    <Modal opened onClose={onClose} title={`Rules of ${group.name} as text`} size="xl">
      <Textarea
        label="A rule on each line"
        description="Copy them, or paste more; those that the group has already stay as they are."
        placeholder={"ingress tcp 22 from 203.0.113.0/24 # office\ningress tcp 8080-8090 from group lb"}
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        autosize
        minRows={8}
        maxRows={20}
        spellCheck={false}
        ff="monospace"
      />
      {mistakes.length > 0 && (
        <List>
          {mistakes.slice(0, 5).map((m) => (
            <li key={m.line}>
              line {m.line}: {m.message}
            </li>
          ))}
        </List>
      )}
      <Refusal error={add.error} />
      <Row justify="flex-end" mt="md">
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Button variant="default" onClick={copy}>
              {copied ? "Copied" : "Copy"}
            </Button>
          )}
        </CopyButton>
        {may && (
          <Button
            disabled={fresh.length === 0 || mistakes.length > 0}
            loading={add.isPending}
            onClick={() => hurt.check(fresh, (rules) => add.mutate(rules))}
          >
            {fresh.length === 0 ? "Nothing new to add" : `Add ${count(fresh.length, "rule")}`}
          </Button>
        )}
      </Row>
      <Hurts hurt={hurt} />
    </Modal>
  );
}
