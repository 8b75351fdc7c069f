// What people write for ports: "22", "80, 443", "8080-8090", "ssh https", or nothing for every port.
import { portOf } from "./service";

export interface Range {
  start: number;
  end: number;
}

export type Ports = { ranges: Range[] } | { wrong: string };

export function parsePorts(text: string): Ports {
  const ranges: Range[] = [];
  for (const part of text
    .replace(/\s*[-–]\s*/g, "-")
    .split(/[\s,;]+/)
    .filter(Boolean)) {
    const range = parseRange(part);
    if (typeof range === "string") return { wrong: range };
    ranges.push(range);
  }
  return { ranges };
}

function parseRange(part: string): Range | string {
  const named = portOf(part);
  if (named) return { start: named, end: named };
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
  if (!match) return `“${part}” is no port; write 22, 8080-8090 or a name such as ssh`;
  const start = Number(match[1]);
  const end = Number(match[2] ?? match[1]);
  if (start < 1 || end > 65535) return `“${part}” is no port; they go from 1 to 65535`;
  if (start > end) return `“${part}” ends before it begins; write ${end}-${start}`;
  return { start, end };
}
