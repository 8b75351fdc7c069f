import { Anchor } from "@mantine/core";
import type { ReactNode } from "react";
import { Link } from "react-router";
import type { Rule } from "../api/types";
import { ruleWords } from "../words/rule";
import classes from "./RuleSentence.module.css";

// RuleSentence is a rule as a person says it: "SSH, TCP 22, from 203.0.113.0/24". What the
// sentence goes on with stands before the description, which has a line of its own.
export function RuleSentence({ rule, children }: { rule: Rule; children?: ReactNode }) {
  const { service, traffic, preposition, peer } = ruleWords(rule);
  const group = rule["security-group"];
  return (
    <span className={classes.sentence}>
      {service && <strong>{service}, </strong>}
      <span>{traffic}</span>, {preposition}{" "}
      {group ? (
        <Anchor component={Link} to={`/groups/${group.id}`} inherit>
          {peer}
        </Anchor>
      ) : (
        <span title={rule.network}>{peer}</span>
      )}
      {children}
      {rule.description && <span className={classes.description}>{rule.description}</span>}
    </span>
  );
}
