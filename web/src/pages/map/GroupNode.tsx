import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { Link } from "react-router";
import { count } from "../../words/time";
import { trafficWords } from "../../words/rule";
import type { MapNode } from "./graph";
import classes from "./Picture.module.css";

export type GroupNodeType = Node<{ node: MapNode; upright: boolean }, "wall">;

export function GroupNode({ data: { node, upright } }: NodeProps<GroupNodeType>) {
  return (
    <div className={classes.node} data-kind={node.kind}>
      <Handle type="target" position={upright ? Position.Top : Position.Left} isConnectable={false} />
      {node.kind === "group" ? <Link to={`/groups/${node.id}`}>{node.name}</Link> : <strong>{node.name}</strong>}
      {node.kind === "group" && <small>{count(node.members, "instance")}</small>}
      {node.own.length > 0 && <small>among themselves: {node.own.map(trafficWords).join(", ")}</small>}
      <Handle type="source" position={upright ? Position.Bottom : Position.Right} isConnectable={false} />
    </div>
  );
}
