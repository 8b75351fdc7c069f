import { ActionIcon, Badge, Button, Menu } from "@mantine/core";
import { IconDots, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { answer, api } from "../api/client";
import { keys as keysQuery } from "../api/queries";
import type { CreatedKey, Key } from "../api/types";
import { Ago } from "../parts/Ago";
import { useChange } from "../parts/change";
import { Confirm } from "../parts/Confirm";
import { Loaded } from "../parts/Loaded";
import { Page } from "../parts/Page";
import { Table, type Column } from "../parts/Table";
import { useCaller } from "../shell/caller";
import { CreateKey } from "./keys/CreateKey";
import { KeyMade } from "./keys/KeyMade";
import { RotateKey } from "./keys/RotateKey";

export function KeysPage() {
  const query = useQuery(keysQuery);
  const [creating, setCreating] = useState(false);
  const [made, setMade] = useState<CreatedKey>();
  return (
    <Page
      title="Keys"
      about="API keys of programs and people, and what each may do"
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={() => setCreating(true)} data-shortcut="new">
          New key
        </Button>
      }
    >
      {creating && <CreateKey onClose={() => setCreating(false)} onMade={setMade} />}
      {made && <KeyMade made={made} onClose={() => setMade(undefined)} />}
      <Loaded query={query}>{(keys) => <Keys keys={keys} onMade={setMade} />}</Loaded>
    </Page>
  );
}

function Keys({ keys, onMade }: { keys: Key[]; onMade: (key: CreatedKey) => void }) {
  const { key: own } = useCaller();
  const [revoking, setRevoking] = useState<Key>();
  const [rotating, setRotating] = useState<Key>();
  const columns: Column<Key>[] = [
    { title: "Name", width: "minmax(120px, 1.4fr)", cell: (k) => <Named apiKey={k} own={k.key === own} /> },
    { title: "Scopes", width: "minmax(120px, 1.2fr)", cell: (k) => <Scopes apiKey={k} /> },
    { title: "Made", width: "120px", cell: (k) => <Ago time={k["created-at"]} /> },
    { title: "Last used", width: "120px", cell: (k) => <Ago time={k["last-used-at"]} /> },
    { title: "Expires", width: "120px", cell: (k) => <Ago time={k["expires-at"]} /> },
    {
      title: "Actions",
      width: "34px",
      action: true,
      cell: (k) => <Actions apiKey={k} onRotate={setRotating} onRevoke={setRevoking} />,
    },
  ];
  return (
    <>
      <Table label="Keys" columns={columns} count={keys.length} row={(i) => keys[i]} rowKey={(k) => k.key} />
      {revoking && <Revoke apiKey={revoking} onClose={() => setRevoking(undefined)} />}
      {rotating && <RotateKey apiKey={rotating} onClose={() => setRotating(undefined)} onMade={onMade} />}
    </>
  );
}

function Named({ apiKey, own }: { apiKey: Key; own: boolean }) {
  return (
    <>
      <strong>{apiKey.name}</strong> {own && <Badge variant="light" tt="none">you</Badge> /* prettier-ignore */}
      <br />
      <small>{apiKey.key}</small>
    </>
  );
}

function Scopes({ apiKey }: { apiKey: Key }) {
  return (
    <>
      {apiKey.scopes.join(", ")}
      {apiKey.operator && (
        <>
          {" "}
          <Badge variant="light" color="gray" tt="none">
            operator
          </Badge>
        </>
      )}
    </>
  );
}

interface ActionsProps {
  apiKey: Key;
  onRotate: (key: Key) => void;
  onRevoke: (key: Key) => void;
}

function Actions({ apiKey, onRotate, onRevoke }: ActionsProps) {
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${apiKey.name}`}>
          <IconDots size={18} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => onRotate(apiKey)}>Rotate</Menu.Item>
        <Menu.Item color="red" onClick={() => onRevoke(apiKey)}>
          Revoke
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Revoke({ apiKey, onClose }: { apiKey: Key; onClose: () => void }) {
  const revoke = useChange({
    ask: () => answer(api.DELETE("/api-key/{key}", { params: { path: { key: apiKey.key } } })),
    title: () => `Revoked the key ${apiKey.name}`,
    onDone: onClose,
  });
  return (
    <Confirm
      title={`Revoke the key ${apiKey.name}?`}
      action="Revoke"
      opened
      onClose={onClose}
      onConfirm={() => revoke.mutate()}
      busy={revoke.isPending}
      error={revoke.error}
    >
      <p>
        Whatever uses it is refused at once, and the browsers that it signed in are signed out. It was last used{" "}
        <Ago time={apiKey["last-used-at"]} />.
      </p>
    </Confirm>
  );
}
