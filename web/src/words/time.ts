// Times as people say them.
const units: [seconds: number, word: string][] = [
  [86_400 * 365, "year"],
  [86_400 * 30, "month"],
  [86_400, "day"],
  [3_600, "hour"],
  [60, "minute"],
];

const stale = 15; // seconds that a page's clock may be behind what it was told meanwhile

// ago is "just now", "5 minutes ago", "in 3 days".
export function ago(then: Date, now: Date): string {
  const seconds = (now.getTime() - then.getTime()) / 1000;
  const size = Math.abs(seconds);
  if (seconds < 5 && seconds > -stale) return "just now";
  const words = duration(size);
  return seconds < 0 ? `in ${words}` : `${words} ago`;
}

export function duration(seconds: number): string {
  const [length, word] = units.find(([length]) => seconds >= length) ?? [1, "second"];
  return count(Math.floor(seconds / length), word);
}

// count is "1 rule", "2 rules".
export function count(n: number, word: string): string {
  return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
}

export const daysSince = (then: string, now: Date) => (now.getTime() - Date.parse(then)) / 86_400_000;
