import { BaseEdge, EdgeLabelRenderer, getBezierPath, type Edge, type EdgeProps } from "@xyflow/react";
import type { Point } from "./labels";
import classes from "./Picture.module.css";

export type LabelledEdgeType = Edge<{ words: string; place: Point | undefined; denied: boolean }, "labelled">;

// LabelledEdge is a line with its label above all lines.
export function LabelledEdge({ id, data, style, markerEnd, interactionWidth, ...ends }: EdgeProps<LabelledEdgeType>) {
  const [path, x, y] = getBezierPath(ends);
  const at = data?.place ?? { x, y };
  return (
    <>
      <BaseEdge
        id={id}
        path={path}
        {...(style && { style })}
        {...(markerEnd && { markerEnd })}
        {...(interactionWidth !== undefined && { interactionWidth })}
      />
      {data?.words && (
        <EdgeLabelRenderer>
          <div
            className={classes.label}
            data-denied={data.denied || undefined}
            style={{ transform: `translate(-50%, -50%) translate(${at.x}px, ${at.y}px)` }}
          >
            {data.words}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
}
