import { Anchor } from "@mantine/core";
import { Fragment } from "react";
import { Link } from "react-router";
import type { Reference } from "../api/types";

export const GroupName = ({ group }: { group: Reference }) => (
  <Anchor component={Link} to={`/groups/${group.id}`} inherit>
    {group.name}
  </Anchor>
);

export const InstanceName = ({ instance }: { instance: Reference }) => (
  <Anchor component={Link} to={`/instances/${instance.id}`} inherit>
    {instance.name}
  </Anchor>
);

export function GroupNames({ groups }: { groups: Reference[] }) {
  return groups.map((g, i) => (
    <Fragment key={g.id}>
      {i > 0 && ", "}
      <GroupName group={g} />
    </Fragment>
  ));
}
