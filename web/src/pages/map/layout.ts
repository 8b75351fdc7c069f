// Where the nodes go: layered in the direction in which connections are opened.
import dagre from "@dagrejs/dagre";
import type { Graph, MapNode } from "./graph";

export interface Placed {
  x: number;
  y: number;
  width: number;
  height: number;
}

// layout draws from left to right; upright, from top to bottom, where it is narrow.
export function layout(graph: Graph, upright: boolean): Map<string, Placed> {
  const g = new dagre.graphlib.Graph();
  g.setGraph({ rankdir: upright ? "TB" : "LR", nodesep: 30, ranksep: 110, edgesep: 16 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const node of graph.nodes) g.setNode(node.id, sizeOf(node));
  for (const edge of graph.edges) g.setEdge(edge.source, edge.target);
  dagre.layout(g);
  return new Map(graph.nodes.map((node) => [node.id, place(g.node(node.id))]));
}

// dagre tells of centres, the map asks for corners.
const place = ({ x, y, width, height }: Placed): Placed => ({ x: x - width / 2, y: y - height / 2, width, height });

// sizeOf grows with the members, but a thousand of them don't fill the page.
function sizeOf({ members, kind, own }: MapNode): { width: number; height: number } {
  const grown = kind === "group" ? Math.min(90, 22 * Math.log2(1 + members)) : 0;
  return { width: 150 + grown, height: (own.length > 0 ? 74 : 56) + grown / 3 };
}
