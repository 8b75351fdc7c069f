import { Button } from "@mantine/core";
import { IconArrowsExchange, IconHelpCircle, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Link, useNavigate, useParams } from "react-router";
import { deleteInstance } from "../api/changes";
import { instance as instanceQuery } from "../api/queries";
import type { Instance } from "../api/types";
import { Ago } from "../parts/Ago";
import { useChange } from "../parts/change";
import { Confirm } from "../parts/Confirm";
import { InstanceState } from "../parts/InstanceState";
import { Loaded } from "../parts/Loaded";
import { Page } from "../parts/Page";
import { Facts } from "../parts/Panel";
import { useMay } from "../shell/caller";
import { Drops } from "./instance/Drops";
import { EffectiveRules } from "./instance/EffectiveRules";
import { InstanceGroups } from "./instance/InstanceGroups";
import { OpenFlows } from "./instance/OpenFlows";

export function InstancePage() {
  const { id = "" } = useParams();
  const query = useQuery({ ...instanceQuery(id), refetchInterval: 5_000 });
  return <Loaded query={query}>{(instance) => <Shown key={id} instance={instance} />}</Loaded>;
}

function Shown({ instance }: { instance: Instance }) {
  return (
    <Page title={instance.name} actions={<Actions instance={instance} />}>
      <Facts facts={factsOf(instance)} />
      <InstanceGroups instance={instance} />
      <EffectiveRules groups={instance["security-groups"]} />
      <Drops instance={instance} />
      <OpenFlows instance={instance} />
    </Page>
  );
}

function factsOf(i: Instance): [string, React.ReactNode][] {
  const labels = Object.entries(i.labels).map(([key, value]) => `${key}: ${value}`);
  return [
    ["State", <InstanceState key="s" state={i.state} />],
    ["Host", i.host ?? "none"],
    ...i.interfaces.map((n): [string, React.ReactNode] => [
      `Interface ${n.name}`,
      [n.mac, ...n.ipv4, ...n.ipv6].join(", "),
    ]),
    ["Registered", <Ago key="c" time={i["created-at"]} />],
    ...(labels.length ? ([["Labels", labels.join(", ")]] as [string, React.ReactNode][]) : []),
  ];
}

function Actions({ instance }: { instance: Instance }) {
  const may = useMay("instances");
  const [asked, setAsked] = useState(false);
  const navigate = useNavigate();
  const remove = useChange({
    ask: () => deleteInstance(instance.id),
    title: () => `Forgot the instance ${instance.name}`,
    onDone: () => void navigate("/instances", { replace: true }),
  });
  const explain = `/explain?to=${encodeURIComponent(instance.name)}`;
  return (
    <>
      <Button variant="default" component={Link} to={explain} leftSection={<IconHelpCircle size={16} />}>
        Explain
      </Button>
      <Button
        variant="default"
        component={Link}
        to={`/flows?instance=${instance.id}`}
        leftSection={<IconArrowsExchange size={16} />}
      >
        Flows
      </Button>
      {may && (
        <Button variant="default" leftSection={<IconTrash size={16} />} onClick={() => setAsked(true)}>
          Forget
        </Button>
      )}
      <Confirm
        title={`Forget the instance ${instance.name}?`}
        action="Forget it"
        opened={asked}
        onClose={() => setAsked(false)}
        onConfirm={() => remove.mutate()}
        busy={remove.isPending}
        error={remove.error}
      >
        <p>
          Its interfaces drop everything from then on, until they go or belong to another instance. The machine itself
          runs on.
        </p>
      </Confirm>
    </>
  );
}
