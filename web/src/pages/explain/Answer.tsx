import { IconCircleCheck, IconCircleX } from "@tabler/icons-react";
import type { ConnectionEnd, ExplainRequest, Explanation, NearRule } from "../../api/types";
import { GroupName, InstanceName } from "../../parts/Names";
import { List } from "../../parts/Panel";
import { RuleSentence } from "../../parts/RuleSentence";
import { Warning } from "../../parts/Warning";
import { reasonWords } from "../../words/flow";
import { AllowThis } from "./AllowThis";
import classes from "./Answer.module.css";

// Answer is the verdict in one sentence, and how each end came to its own.
export function Answer({ request, answer }: { request: ExplainRequest; answer: Explanation }) {
  return (
    <>
      <div className={classes.verdict} data-allowed={answer.allowed} role="status">
        {answer.allowed ? <IconCircleCheck size={28} aria-hidden /> : <IconCircleX size={28} aria-hidden />}
        <p>
          <strong>{answer.allowed ? "Allowed. " : "Denied. "}</strong>
          {answer.summary}
        </p>
      </div>
      <div className={classes.ends}>
        <End title="Who opens it" end={answer.from} other={answer.to} direction="egress" request={request} />
        <End title="Who is connected to" end={answer.to} other={answer.from} direction="ingress" request={request} />
      </div>
    </>
  );
}

interface EndProps {
  title: string;
  end: ConnectionEnd;
  other: ConnectionEnd;
  direction: "ingress" | "egress";
  request: ExplainRequest;
}

function End({ title, end, other, direction, request }: EndProps) {
  return (
    <section className={classes.end} aria-label={title}>
      <h2>{title}</h2>
      <ol className={classes.steps}>
        <li>
          {end.instance ? (
            <>
              <InstanceName instance={end.instance} /> owns {end.address}.
            </>
          ) : (
            <>{end.address} belongs to no instance here: no rule of ours is asked at this end.</>
          )}
        </li>
        {end.verdict && <Decision end={end} direction={direction} />}
        {end.membership && <MembershipStep membership={end.membership} />}
        {end.loaded && <Loaded loaded={end.loaded} />}
      </ol>
      {end.nearest && end.nearest.length > 0 && <Nearest rules={end.nearest} />}
      {end.verdict === "drop" && end.instance && (
        <AllowThis instance={end.instance} other={other} direction={direction} request={request} />
      )}
    </section>
  );
}

function Decision({ end, direction }: { end: ConnectionEnd; direction: string }) {
  if (end.rule && end["security-group"]) {
    return (
      <li>
        Its {direction} is allowed by a rule of <GroupName group={end["security-group"]} />:{" "}
        <RuleSentence rule={end.rule} />
      </li>
    );
  }
  const verdict = end.verdict === "pass" ? "allowed" : "denied";
  return (
    <li>
      Its {direction} is <strong>{verdict}</strong>: <span title={end.reason}>{reasonWords(end.reason ?? "")}</span>.
    </li>
  );
}

function MembershipStep({ membership }: { membership: NonNullable<ConnectionEnd["membership"]> }) {
  const { address, means, via } = membership;
  const group = membership["security-group"];
  if (means === "network")
    return (
      <li>
        The rule means {address}, for it is within {via}.
      </li>
    );
  return (
    <li>
      The rule means {address}, for{" "}
      {means === "member" ? "its instance is a member" : `${via ?? "its network"} counts as a member`}
      {group && (
        <>
          {" "}
          of <GroupName group={group} />
        </>
      )}
      .
    </li>
  );
}

function Loaded({ loaded }: { loaded: NonNullable<ConnectionEnd["loaded"]> }) {
  if (loaded.unavailable) return <li>The programs on its host could not be asked: {loaded.unavailable}.</li>;
  if (loaded.agrees) return <li>The programs on its host answer the same.</li>;
  return (
    <li>
      <Warning title="The programs on its host answer otherwise">
        They say {loaded.verdict} ({reasonWords(loaded.reason ?? "")}). That must not be: tell your operator.
      </Warning>
    </li>
  );
}

function Nearest({ rules }: { rules: NearRule[] }) {
  return (
    <>
      <h3>Rules that come near</h3>
      <List>
        {rules.map(({ rule, differs, "security-group": group }) => (
          <li key={rule.id}>
            <RuleSentence rule={rule}>
              {" in "}
              <GroupName group={group} />, but another {differs.join(" and ")}
            </RuleSentence>
          </li>
        ))}
      </List>
    </>
  );
}
