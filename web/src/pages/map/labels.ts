// Where the labels of lines go: on their line, and not upon each other or a node.
import { getBezierPath, Position } from "@xyflow/react";
import type { Layout, Placed } from "./layout";

export interface Line {
  id: string;
  source: string;
  target: string;
  label: string;
}

export interface Point {
  x: number;
  y: number;
}

// How far along the line a label may be, the best first: from the middle to either end.
const fractions = Array.from({ length: 23 }, (_, i) => 0.5 + (i % 2 === 0 ? 1 : -1) * 0.04 * Math.ceil(i / 2));
const height = 22;
const widthOf = (label: string) => 8 + 7.5 * label.length;

// labelPlaces finds a place for each line's label, of the earlier lines first: where it
// covers nothing, or else least.
export function labelPlaces(lines: Line[], { places, upright }: Layout): Map<string, Point> {
  const taken = [...places.values()];
  const found = new Map<string, Point>();
  for (const line of lines) {
    const [source, target] = [places.get(line.source), places.get(line.target)];
    if (!source || !target) continue;
    const curve = curveOf(source, target, upright);
    const boxes = fractions.map((fraction) => boxAt(at(curve, fraction), line.label));
    const covered = boxes.map((b) => taken.reduce((sum, t) => sum + overlap(b, t), 0));
    const box = boxes[covered.indexOf(Math.min(...covered))];
    if (!box) continue;
    taken.push(box);
    found.set(line.id, { x: box.x + box.width / 2, y: box.y + box.height / 2 });
  }
  return found;
}

type Curve = [Point, Point, Point, Point]; // of Bézier: both ends, and what bends it between them

// curveOf is the line as it is drawn.
function curveOf(source: Placed, target: Placed, upright: boolean): Curve {
  const [path] = getBezierPath({
    sourceX: upright ? source.x + source.width / 2 : source.x + source.width,
    sourceY: upright ? source.y + source.height : source.y + source.height / 2,
    sourcePosition: upright ? Position.Bottom : Position.Right,
    targetX: upright ? target.x + target.width / 2 : target.x,
    targetY: upright ? target.y : target.y + target.height / 2,
    targetPosition: upright ? Position.Top : Position.Left,
  });
  const n = (path.match(/-?[\d.]+(?:e-?\d+)?/g) ?? []).map(Number);
  const point = (i: number): Point => ({ x: n[i] ?? 0, y: n[i + 1] ?? 0 });
  return [point(0), point(2), point(4), point(6)];
}

function at([a, b, c, d]: Curve, t: number): Point {
  const [u, v, w, z] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t ** 2 * (1 - t), t ** 3];
  return { x: u * a.x + v * b.x + w * c.x + z * d.x, y: u * a.y + v * b.y + w * c.y + z * d.y };
}

function boxAt({ x, y }: Point, label: string): Placed {
  const width = widthOf(label);
  return { x: x - width / 2, y: y - height / 2, width, height };
}

// overlap is the area that two boxes share.
function overlap(a: Placed, b: Placed): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, width) * Math.max(0, height);
}
