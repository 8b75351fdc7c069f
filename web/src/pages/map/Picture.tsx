import { useComputedColorScheme } from "@mantine/core";
import {
  Background,
  Controls,
  MarkerType,
  MiniMap,
  ReactFlow,
  type Edge,
  type Node,
  type NodeTypes,
} from "@xyflow/react";
import { useMediaQuery } from "@mantine/hooks";
import { useMemo } from "react";
import { portWords, ruleWords } from "../../words/rule";
import { hasPorts } from "../../words/service";
import type { Graph, MapEdge } from "./graph";
import { GroupNode, type GroupNodeType } from "./GroupNode";
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
const crowd = 40; // nodes from which on an edge shows its ports only when it is chosen

export function Picture({ graph, denied, chosen, onEdge, onGroup }: PictureProps) {
  const narrow = useMediaQuery("(max-width: 48em)");
  const dark = useComputedColorScheme("light") === "dark";
  const { upright, places } = useMemo(() => layout(graph, narrow), [graph, narrow]);
  const nodes = useMemo(() => nodesOf(graph, places, upright), [graph, places, upright]);
  const edges = useMemo(
    () => [...graph.edges.map((e) => edgeOf(e, chosen, graph.nodes.length > crowd)), ...deniedEdges(graph, denied)],
    [graph, denied, chosen],
  );
  return (
    <div className={classes.picture} role="group" aria-label="Map of groups">
      <ReactFlow
        key={nodes.map((n) => `${n.id} ${n.width}`).join()}
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        colorMode={dark ? "dark" : "light"}
        onEdgeClick={(_, edge) => onEdge(edge.id)}
        onNodeDoubleClick={(_, node) => onGroup(node.id)}
        onSelectionChange={({ edges: [edge] }) => edge && !edge.id.startsWith("denied") && onEdge(edge.id)}
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

function nodesOf(graph: Graph, places: Layout["places"], upright: boolean): GroupNodeType[] {
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

function edgeOf(edge: MapEdge, chosen: string, crowded: boolean): Edge {
  const selected = edge.id === chosen;
  return {
    id: edge.id,
    source: edge.source,
    target: edge.target,
    selected,
    className: classes.edge ?? "",
    style: { strokeWidth: 1.2 + Math.min(7, Math.log10(1 + edge.hits) * 1.6) },
    markerEnd: { type: MarkerType.ArrowClosed, width: 14, height: 14, markerUnits: "userSpaceOnUse" },
    label: crowded && !selected ? undefined : edgeWords(edge),
    labelShowBg: true,
    ariaLabel: `${edge.rules.length} rules: ${edgeWords(edge)}`,
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

function deniedEdges(graph: Graph, denied: Map<string, number>): Edge[] {
  const known = new Set<string>(graph.nodes.map((n: { id: Node["id"] }) => n.id));
  return [...denied].flatMap(([id, times]) => {
    const [source = "", target = ""] = id.split(">");
    if (!known.has(source) || !known.has(target)) return [];
    return [
      {
        id: `denied ${id}`,
        source,
        target,
        animated: true,
        className: classes.denied ?? "",
        label: `denied ${times}`,
        labelShowBg: true,
        focusable: false,
        selectable: false,
        style: { strokeWidth: 1.5 + Math.min(5, Math.log10(times) * 2) },
      },
    ];
  });
}
