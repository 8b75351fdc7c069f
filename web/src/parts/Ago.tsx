import { useEffect, useState } from "react";
import { ago } from "../words/time";

const tick = 10_000; // milliseconds

// Ago is a time as people say it; the exact one shows on hover.
export function Ago({ time }: { time: string | undefined }) {
  const now = useNow();
  if (!time) return <span>never</span>;
  const exact = new Date(time);
  return (
    <time dateTime={time} title={exact.toLocaleString("en", { dateStyle: "full", timeStyle: "long" })}>
      {ago(exact, now)}
    </time>
  );
}

// useNow is the time, and becomes another every few seconds.
export function useNow(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), tick);
    return () => clearInterval(timer);
  }, []);
  return now;
}
