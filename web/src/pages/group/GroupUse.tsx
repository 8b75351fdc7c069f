import { Badge } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { Anchor } from "@mantine/core";
import { usage } from "../../api/queries";
import type { Group, Reference, Usage } from "../../api/types";
import { GroupNames, InstanceName } from "../../parts/Names";
import { Facts } from "../../parts/Panel";
import { count } from "../../words/time";

const shown = 5; // members that are named

// GroupUse says who stands behind the group.
export function GroupUse({ group }: { group: Group }) {
  const { data } = useQuery(usage(group.id));
  if (!data) return null;
  return (
    <Facts
      facts={[
        ["Instances", <Members key="m" group={group} usage={data} />],
        ["Rules of other groups that name it", <Users key="u" group={group} usage={data} />],
        ...(group.primary
          ? ([
              [
                "New instances",
                <Badge key="p" variant="light" tt="none">
                  get it when they name none
                </Badge>,
              ],
            ] as [string, React.ReactNode][])
          : []),
      ]}
    />
  );
}

function Members({ group, usage: { instances } }: { group: Group; usage: Usage }) {
  if (instances.length === 0) return "none yet";
  return (
    <>
      {instances.slice(0, shown).map((i, n) => (
        <span key={i.id}>
          {n > 0 && ", "}
          <InstanceName instance={i} />
        </span>
      ))}
      {instances.length > shown && (
        <>
          {" and "}
          <Anchor component={Link} to={`/instances?group=${group.id}`} inherit>
            {instances.length - shown} more
          </Anchor>
        </>
      )}
    </>
  );
}

function Users({ group, usage }: { group: Group; usage: Usage }) {
  const holders = new Map<string, Reference>();
  for (const { "security-group": holder } of usage.rules) if (holder.id !== group.id) holders.set(holder.id, holder);
  if (holders.size === 0) return "none";
  const named = [...holders.values()];
  return (
    <>
      <GroupNames groups={named.slice(0, shown)} />
      {named.length > shown && ` and ${count(named.length - shown, "group")} more`}
    </>
  );
}
