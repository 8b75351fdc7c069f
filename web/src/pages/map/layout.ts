// Where the nodes go: layered in the direction in which connections are opened.
import dagre from "@dagrejs/dagre";
import type { Graph, MapNode } from "./graph";

export interface Placed {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  upright: boolean; // from top to bottom
  places: Map<string, Placed>;
}

const few = 60; // nodes up to which both ways are tried

// layout draws from left to right, or upright where that is larger to read; where it is narrow, always.
export function layout(graph: Graph, narrow: boolean): Layout {
  const upright = draw(graph, true);
  if (narrow) return upright;
  const across = draw(graph, false);
  return graph.nodes.length <= few && scale(upright) > scale(across) ? upright : across;
}

function draw(graph: Graph, upright: boolean): Layout {
  const g = new dagre.graphlib.Graph();
  g.setGraph({ rankdir: upright ? "TB" : "LR", nodesep: 30, ranksep: upright ? 70 : 110, edgesep: 16 });
  g.setDefaultEdgeLabel(() => ({}));
  for (const node of graph.nodes) g.setNode(node.id, sizeOf(node));
  for (const edge of graph.edges) g.setEdge(edge.source, edge.target);
  dagre.layout(g);
  return { upright, places: new Map(graph.nodes.map((node) => [node.id, place(g.node(node.id))])) };
}

const page = { width: 1000, height: 640 }; // what a picture has, about

// scale is how large a picture is drawn that fits the page.
function scale({ places }: Layout): number {
  const all = [...places.values()];
  const width = Math.max(...all.map((p) => p.x + p.width));
  const height = Math.max(...all.map((p) => p.y + p.height));
  return Math.min(page.width / width, page.height / height);
}

// dagre tells of centres, the map asks for corners.
const place = ({ x, y, width, height }: Placed): Placed => ({ x: x - width / 2, y: y - height / 2, width, height });

// named is what a name takes, up to where it is cut.
const named = (name: string) => Math.min(320, 44 + 8.5 * name.length);

// sizeOf grows with the members, but a thousand of them don't fill the page.
function sizeOf({ name, members, kind, own }: MapNode): { width: number; height: number } {
  const grown = kind === "group" ? Math.min(90, 22 * Math.log2(1 + members)) : 0;
  return { width: Math.max(150 + grown, named(name)), height: (own.length > 0 ? 74 : 56) + grown / 3 };
}
