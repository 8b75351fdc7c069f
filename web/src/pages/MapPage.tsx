import "@xyflow/react/dist/style.css";
import { Button, SegmentedControl, Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState, type ReactNode } from "react";
import { Link } from "react-router";
import { useFlows, type SeenFlow } from "../api/flows";
import { groups as groupsQuery, groupSummaries, hits as hitsQuery } from "../api/queries";
import type { Group, GroupSummary, RuleHit } from "../api/types";
import { Loaded } from "../parts/Loaded";
import { Notice } from "../parts/Notice";
import { Page } from "../parts/Page";
import { useParam } from "../parts/param";
import { Search } from "../parts/Search";
import { count } from "../words/time";
import { useDenied } from "./map/denied";
import { EdgePanel } from "./map/EdgePanel";
import { around, graphOf, type Graph } from "./map/graph";
import { MapList } from "./map/MapList";
import { Picture } from "./map/Picture";

const most = 300; // groups that a picture can hold

export default function MapPage() {
  const groups = useQuery(groupsQuery);
  const summaries = useQuery(groupSummaries("", 0, 1000));
  const hits = useQuery(hitsQuery());
  const [view, setView] = useParam("view");
  const asList = view === "list";
  const [live, setLive] = useState(true);
  return (
    <Page
      title="Map"
      about="Who may reach whom, by rules: the thicker a line, the more its rules were hit in the last hour"
      actions={
        <>
          <Search label="Find a group" />
          {!asList && (
            <Switch label="Show what is denied" checked={live} onChange={(e) => setLive(e.currentTarget.checked)} />
          )}
          <SegmentedControl
            aria-label="View"
            data={[
              { value: "picture", label: "picture" },
              { value: "list", label: "list" },
            ]}
            value={view || "picture"}
            onChange={(value) => setView(value === "picture" ? "" : value)}
          />
        </>
      }
    >
      <Loaded query={groups}>
        {(all) => (
          <Shown
            groups={all}
            summaries={summaries.data?.["security-groups"] ?? []}
            hits={hits.data ?? []}
            asList={asList}
            live={live}
          />
        )}
      </Loaded>
    </Page>
  );
}

interface ShownProps {
  groups: Group[];
  summaries: GroupSummary[];
  hits: RuleHit[];
  asList: boolean;
  live: boolean;
}

function Shown({ groups, summaries, hits, asList, live }: ShownProps) {
  const [search] = useParam("search");
  const [group, setGroup] = useParam("group");
  const [edge, setEdge] = useParam("edge");
  const whole = useMemo(() => graphOf(groups, summaries, hits), [groups, summaries, hits]);
  const graph = useMemo(() => (group ? around(whole, group) : found(whole, search)), [whole, group, search]);
  const chosen = graph.edges.find((e) => e.id === edge);
  if (graph.nodes.length === 0) return <Nothing search={search} />;
  if (graph.nodes.length > most && !asList) return <TooMany graph={graph} />;
  return (
    <>
      {group && (
        <p>
          Only what <strong>{graph.nodes.find((n) => n.id === group)?.name ?? "one group"}</strong> takes part in.{" "}
          <Button size="compact-sm" variant="light" onClick={() => setGroup("")}>
            Show all
          </Button>
        </p>
      )}
      {asList ? (
        <MapList graph={graph} onEdge={setEdge} />
      ) : (
        <Live watched={live}>
          {(denied) => <Picture graph={graph} denied={denied} chosen={edge} onEdge={setEdge} onGroup={setGroup} />}
        </Live>
      )}
      {chosen && <EdgePanel graph={graph} edge={chosen} onClose={() => setEdge("")} />}
    </>
  );
}

const none: SeenFlow[] = [];

interface LiveProps {
  watched: boolean;
  children: (denied: Map<string, number>) => ReactNode;
}

// Live watches what is denied, for as long as it is to be shown.
function Live({ watched, children }: LiveProps) {
  const { events } = useFlows({ verdict: "denied" }, !watched);
  return children(useDenied(watched ? events : none));
}

// found is what the groups that a search names take part in.
function found(graph: Graph, search: string): Graph {
  if (!search) return graph;
  const named = graph.nodes.filter((n) => n.name.toLowerCase().includes(search.toLowerCase()));
  const parts = named.map((n) => around(graph, n.id));
  const nodes = new Set(parts.flatMap((p) => p.nodes));
  const edges = new Set(parts.flatMap((p) => p.edges));
  return { nodes: [...nodes], edges: [...edges] };
}

function Nothing({ search }: { search: string }) {
  if (search) return <Notice title={`No group on the map has “${search}” in its name.`} />;
  return (
    <Notice title="There is nothing to draw yet.">
      Groups show here as soon as they have rules or instances. <Link to="/groups">Make some</Link>.
    </Notice>
  );
}

function TooMany({ graph }: { graph: Graph }) {
  return (
    <Notice title={`${count(graph.nodes.length, "group")} are too many for one picture.`}>
      Find one above: the map then shows what it takes part in. Or look at the list.
    </Notice>
  );
}
