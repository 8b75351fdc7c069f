import { Button, Menu } from "@mantine/core";
import { IconChevronDown, IconHelpCircle, IconMap2 } from "@tabler/icons-react";
import { useState } from "react";
import { Link, useNavigate } from "react-router";
import { makePrimary } from "../../api/changes";
import type { Group } from "../../api/types";
import { useChange } from "../../parts/change";
import { Refusal } from "../../parts/Refusal";
import { useMay } from "../../shell/caller";
import { DeleteGroup } from "./DeleteGroup";
import { RenameGroup } from "./RenameGroup";
import { RulesAsText } from "./RulesAsText";

type Dialog = "rename" | "text" | "delete" | undefined;

export function GroupActions({ group }: { group: Group }) {
  const [dialog, setDialog] = useState<Dialog>();
  const navigate = useNavigate();
  const close = () => setDialog(undefined);
  const promote = useChange({ ask: () => makePrimary(group.id), title: () => `${group.name} is the primary group` });
  return (
    <>
      <Button variant="default" component={Link} to={`/map?group=${group.id}`} leftSection={<IconMap2 size={16} />}>
        On the map
      </Button>
      <Button variant="default" component={Link} to="/explain" leftSection={<IconHelpCircle size={16} />}>
        Explain
      </Button>
      <More group={group} onChoose={setDialog} onPromote={() => promote.mutate()} />
      <Refusal error={promote.error} />
      {dialog === "rename" && <RenameGroup group={group} onClose={close} />}
      {dialog === "text" && <RulesAsText group={group} onClose={close} />}
      {dialog === "delete" && (
        <DeleteGroup group={group} onClose={close} onDeleted={() => void navigate("/groups", { replace: true })} />
      )}
    </>
  );
}

interface MoreProps {
  group: Group;
  onChoose: (dialog: Dialog) => void;
  onPromote: () => void;
}

function More({ group, onChoose, onPromote }: MoreProps) {
  const may = useMay("rules");
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="default" rightSection={<IconChevronDown size={16} />}>
          More
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => onChoose("text")}>Rules as text: copy and paste</Menu.Item>
        {may && <Menu.Item onClick={() => onChoose("rename")}>Rename or describe</Menu.Item>}
        {may && !group.primary && <Menu.Item onClick={onPromote}>Make it the primary group</Menu.Item>}
        {may && (
          <Menu.Item color="red" onClick={() => onChoose("delete")}>
            Delete
          </Menu.Item>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
