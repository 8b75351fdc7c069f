import { Button } from "@mantine/core";
import { GroupName } from "../../parts/Names";
import { Table, type Column } from "../../parts/Table";
import { count } from "../../words/time";
import type { Graph, MapEdge } from "./graph";
import { edgeWords } from "./Picture";

// MapList is the map in words, for small screens and for who listens.
export function MapList({ graph, onEdge }: { graph: Graph; onEdge: (id: string) => void }) {
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]));
  const name = (id: string) => {
    const node = nodes.get(id);
    return node?.kind === "group" ? <GroupName group={node} /> : <strong>{node?.name}</strong>;
  };
  const columns: Column<MapEdge>[] = [
    { title: "Who", width: "minmax(120px, 1fr)", cell: (e) => name(e.source) },
    { title: "may reach", width: "minmax(120px, 1fr)", cell: (e) => name(e.target) },
    { title: "with", width: "minmax(140px, 1.5fr)", cell: edgeWords },
    { title: "Hits, last hour", width: "120px", number: true, cell: (e) => e.hits.toLocaleString("en") },
    {
      title: "Show the rules",
      action: true,
      width: "90px",
      cell: (e) => (
        <Button size="compact-sm" variant="light" onClick={() => onEdge(e.id)}>
          {count(e.rules.length, "rule")}
        </Button>
      ),
    },
  ];
  return (
    <Table
      label="Map as a list"
      columns={columns}
      count={graph.edges.length}
      row={(i) => graph.edges[i]}
      rowKey={(e) => e.id}
    />
  );
}
