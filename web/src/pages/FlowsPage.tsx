import { Button, SegmentedControl } from "@mantine/core";
import { IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useFlows, type FlowQuery, type Flows } from "../api/flows";
import { instance as instanceQuery } from "../api/queries";
import { FlowTable } from "../parts/FlowTable";
import { Notice } from "../parts/Notice";
import { Page } from "../parts/Page";
import { useParam } from "../parts/param";
import { Search } from "../parts/Search";
import { Warning } from "../parts/Warning";
import { flowText, matches } from "../words/flow";
import { count } from "../words/time";

const verdicts = ["denied", "allowed", "all"] as const;

export function FlowsPage() {
  const [search] = useParam("search");
  const [asked, setVerdict] = useParam("verdict");
  const [instance, setInstance] = useParam("instance");
  const [paused, setPaused] = useState(false);
  const verdict: FlowQuery["verdict"] = verdicts.find((v) => v === asked) ?? "denied";
  const flows = useFlows({ instance: instance || undefined, verdict }, paused);
  const events = search ? flows.events.filter((e) => matches(flowText(e), search)) : flows.events;
  return (
    <Page
      title="Flows"
      about="Conversations as they begin at the instances’ interfaces, the same one once a minute"
      actions={
        <>
          <Search label="Filter: web1 tcp -10.0.0.9" />
          <SegmentedControl
            aria-label="Verdict"
            data={verdicts.map((v) => ({ value: v, label: v }))}
            value={verdict}
            onChange={(v) => setVerdict(v === "denied" ? "" : v)}
          />
          <Button
            variant="default"
            onClick={() => setPaused(!paused)}
            leftSection={paused ? <IconPlayerPlay size={16} /> : <IconPlayerPause size={16} />}
          >
            {paused ? "Go on" : "Pause"}
          </Button>
        </>
      }
    >
      {instance && <Only instance={instance} onAll={() => setInstance("")} />}
      {flows.lost > 0 && (
        <Warning title={`${count(flows.lost, "event")} could not be told`}>
          More happens than can be shown. Watch one instance, or only what is denied.
        </Warning>
      )}
      {flows.state === "unavailable" && <Notice title="This server can’t stream flows right now." />}
      {events.length > 0 && <FlowTable events={events} />}
      {events.length === 0 && flows.state !== "unavailable" && (
        <Quiet state={flows.state} paused={paused} filtered={search !== ""} />
      )}
    </Page>
  );
}

function Only({ instance, onAll }: { instance: string; onAll: () => void }) {
  const { data } = useQuery(instanceQuery(instance));
  return (
    <p>
      Only <strong>{data?.name ?? instance}</strong>.{" "}
      <Button size="compact-sm" variant="light" onClick={onAll}>
        Show all instances
      </Button>
    </p>
  );
}

function Quiet({ state, paused, filtered }: { state: Flows["state"]; paused: boolean; filtered: boolean }) {
  if (paused) return <Notice title="Paused." />;
  if (state === "connecting") return <Notice title="Connecting…" />;
  if (filtered) return <Notice title="Nothing that happened so far passes the filter." />;
  return <Notice title="Listening…">Every new conversation shows here within a second.</Notice>;
}
