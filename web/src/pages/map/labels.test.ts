import { expect, test } from "vitest";
import { labelPlaces, type Line } from "./labels";
import type { Layout } from "./layout";

const node = (x: number, y: number) => ({ x, y, width: 150, height: 56 });
const places = new Map([
  ["internet", node(200, 0)],
  ["web", node(200, 200)],
  ["app", node(0, 400)],
  ["db", node(180, 400)],
]);
const drawn: Layout = { upright: true, places };
const line = (source: string, target: string, label = "denied 3"): Line => ({
  id: `${label} ${source}>${target}`,
  source,
  target,
  label,
});

const box = (label: string, { x, y }: { x: number; y: number }) => {
  const width = 7 * label.length;
  return { left: x - width / 2, right: x + width / 2, top: y - 10, bottom: y + 10 };
};

test("labels are neither upon each other nor upon a node", () => {
  const lines = [
    line("internet", "web", "tcp 80"),
    line("internet", "web"),
    line("internet", "app"),
    line("internet", "db"),
    line("web", "app"),
    line("web", "db"),
  ];
  const found = labelPlaces(lines, drawn);
  const boxes = [
    ...lines.map((l) => box(l.label, found.get(l.id) ?? { x: 0, y: 0 })),
    ...[...places.values()].map((n) => ({ left: n.x, right: n.x + n.width, top: n.y, bottom: n.y + n.height })),
  ];
  expect(found.size).toBe(lines.length);
  for (const [i, a] of boxes.entries()) {
    for (const b of boxes.slice(i + 1)) {
      const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
      expect(apart, `${JSON.stringify(a)} ${JSON.stringify(b)}`).toBe(true);
    }
  }
});

test("a label alone is in the middle of its line; a line to nowhere has none", () => {
  const found = labelPlaces([line("internet", "web"), line("internet", "gone")], drawn);
  expect([...found.values()]).toEqual([{ x: 275, y: 128 }]);
});
