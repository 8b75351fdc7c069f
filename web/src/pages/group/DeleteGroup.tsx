import { useQuery } from "@tanstack/react-query";
import { deleteGroup } from "../../api/changes";
import { usage } from "../../api/queries";
import type { Reference, Usage } from "../../api/types";
import { useChange } from "../../parts/change";
import { Confirm } from "../../parts/Confirm";
import { Loaded } from "../../parts/Loaded";
import { GroupName, InstanceName } from "../../parts/Names";
import { List } from "../../parts/Panel";
import { RuleSentence } from "../../parts/RuleSentence";

const shown = 8; // users of each kind that are named

interface DeleteGroupProps {
  group: Reference;
  onClose: () => void;
  onDeleted?: () => void;
}

// DeleteGroup asks whether to, and says who still uses the group.
export function DeleteGroup({ group, onClose, onDeleted }: DeleteGroupProps) {
  const users = useQuery(usage(group.id));
  const remove = useChange({
    ask: () => deleteGroup(group.id),
    title: () => `Deleted the group ${group.name}`,
    onDone: () => {
      onClose();
      onDeleted?.();
    },
  });
  return (
    <Confirm
      title={`Delete the group ${group.name}?`}
      action="Delete"
      opened
      onClose={onClose}
      onConfirm={() => remove.mutate()}
      busy={remove.isPending}
      error={remove.error}
    >
      <Loaded query={users}>{(u) => <Users group={group} usage={u} />}</Loaded>
    </Confirm>
  );
}

function Users({ group, usage }: { group: Reference; usage: Usage }) {
  const naming = usage.rules.filter((r) => r["security-group"].id !== group.id);
  const more = [usage.instances, naming].reduce((sum, users) => sum + Math.max(0, users.length - shown), 0);
  if (usage.instances.length + naming.length === 0)
    return <p>Nobody uses it. Its rules go with it; that can’t be undone.</p>;
  return (
    <>
      <p>It is still used, so the server will refuse. Take it away from these first:</p>
      <List>
        {usage.instances.slice(0, shown).map((i) => (
          <li key={i.id}>
            instance <InstanceName instance={i} />
          </li>
        ))}
        {naming.slice(0, shown).map(({ "security-group": holder, rule }) => (
          <li key={rule.id}>
            a rule of <GroupName group={holder} />: <RuleSentence rule={rule} />
          </li>
        ))}
        {more > 0 && <li>and {more.toLocaleString("en")} more</li>}
      </List>
    </>
  );
}
