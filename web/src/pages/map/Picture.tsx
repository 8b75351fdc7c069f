import { useComputedColorScheme } from "@mantine/core";
import { Background, Controls, MarkerType, MiniMap, ReactFlow, type EdgeTypes, type NodeTypes } from "@xyflow/react";
import { useMediaQuery } from "@mantine/hooks";
import { useMemo } from "react";
import { portWords, ruleWords } from "../../words/rule";
import { hasPorts } from "../../words/service";
import { count } from "../../words/time";
import type { Graph, MapEdge } from "./graph";
import { GroupNode, type GroupNodeType } from "./GroupNode";
import { LabelledEdge, type LabelledEdgeType } from "./LabelledEdge";
import { labelPlaces, type Line, type Point } from "./labels";
import { layout, type Layout } from "./layout";
import classes from "./Picture.module.css";

interface PictureProps {
  graph: Graph;
  denied: Map<string, number>;
  chosen: string; // id of an edge
  onEdge: (id: string) => void;
  onGroup: (id: string) => void;
}

const nodeTypes: NodeTypes = { wall: GroupNode };
const edgeTypes: EdgeTypes = { labelled: LabelledEdge };
const crowd = 40; // nodes from which on an edge shows its ports only when it is chosen

export function Picture({ graph, denied, chosen, onEdge, onGroup }: PictureProps) {
  const narrow = useMediaQuery("(max-width: 48em)");
  const dark = useComputedColorScheme("light") === "dark";
  const drawn = useMemo(() => layout(graph, narrow), [graph, narrow]);
  const nodes = useMemo(() => nodesOf(graph, drawn), [graph, drawn]);
  const edges = useMemo(() => edgesOf(graph, drawn, denied, chosen), [graph, drawn, denied, chosen]);
  return (
    <div className={classes.picture} role="group" aria-label="Map of groups">
      <ReactFlow
        key={nodes.map((n) => `${n.id} ${n.width}`).join()}
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        colorMode={dark ? "dark" : "light"}
        onEdgeClick={(_, edge) => edge.selectable !== false && onEdge(edge.id)}
        onNodeDoubleClick={(_, node) => onGroup(node.id)}
        onSelectionChange={({ edges: [edge] }) => edge && onEdge(edge.id)}
        nodesDraggable={false}
        nodesConnectable={false}
        fitView
        minZoom={0.1}
        onlyRenderVisibleElements={graph.nodes.length > crowd}
        proOptions={{ hideAttribution: true }}
      >
        <Background />
        <Controls showInteractive={false} />
        {graph.nodes.length > crowd && <MiniMap pannable zoomable ariaLabel="Overview" />}
      </ReactFlow>
    </div>
  );
}

function nodesOf(graph: Graph, { places, upright }: Layout): GroupNodeType[] {
  return graph.nodes.map((node) => {
    const { x = 0, y = 0, width = 150, height = 56 } = places.get(node.id) ?? {};
    return {
      id: node.id,
      type: "wall",
      position: { x, y },
      width,
      height,
      data: { node, upright },
      ariaLabel: node.name,
    };
  });
}

const arrow = { type: MarkerType.ArrowClosed, width: 14, height: 14, markerUnits: "userSpaceOnUse" };

// edgesOf are the lines by rules and, above them, those of what is denied.
function edgesOf(graph: Graph, drawn: Layout, denied: Map<string, number>, chosen: string): LabelledEdgeType[] {
  const crowded = graph.nodes.length > crowd;
  const allowed = graph.edges.map((edge) => ({
    ...edge,
    label: crowded && edge.id !== chosen ? "" : edgeWords(edge),
  }));
  const refused = [...denied].map(([id, times]) => {
    const [source = "", target = ""] = id.split(">");
    return { id: `denied ${id}`, source, target, times, label: `denied ${times}` };
  });
  const places = labelPlaces([...allowed.filter((e) => e.label), ...refused], drawn);
  return [
    ...allowed.map((e) => allowedEdge(e, places.get(e.id), e.id === chosen)),
    ...refused
      .filter((e) => drawn.places.has(e.source) && drawn.places.has(e.target))
      .map((e) => deniedEdge(e, places.get(e.id))),
  ];
}

function allowedEdge(edge: MapEdge & Line, place: Point | undefined, selected: boolean): LabelledEdgeType {
  const { id, source, target, label, hits, rules } = edge;
  return {
    ...{ id, source, target, selected, type: "labelled" },
    className: classes.edge ?? "",
    style: { strokeWidth: 1.2 + Math.min(7, Math.log10(1 + hits) * 1.6) },
    markerEnd: arrow,
    data: { words: label, place, denied: false },
    ariaLabel: `${count(rules.length, "rule")}: ${edgeWords(edge)}`,
  };
}

function deniedEdge(line: Line & { times: number }, place: Point | undefined): LabelledEdgeType {
  const { id, source, target, label, times } = line;
  return {
    ...{ id, source, target, type: "labelled" },
    className: classes.denied ?? "",
    style: { strokeWidth: 1.5 + Math.min(5, Math.log10(times) * 2) },
    markerEnd: { ...arrow, color: "var(--bad)" },
    data: { words: label, place, denied: true },
    ...{ animated: true, focusable: false, selectable: false },
  };
}

const named = 3; // rules whose ports an edge shows

export function edgeWords({ rules }: MapEdge): string {
  const words = new Set(
    rules.map(({ rule }) =>
      hasPorts(rule.protocol) ? `${rule.protocol} ${portWords(rule)}` : (ruleWords(rule).service ?? rule.protocol),
    ),
  );
  const shown = [...words].slice(0, named).join(", ");
  return words.size > named ? `${shown} …` : shown;
}
