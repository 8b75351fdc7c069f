import { useEffect } from "react";
import { queries } from "../api/cache";
import { useFreshness, type Freshness } from "../api/freshness";
import classes from "./Staleness.module.css";

const pause = 5_000; // between two looks whether it is over, in milliseconds

// Staleness says while what is shown may be out of date, and has it read anew until it is not.
export function Staleness() {
  const freshness = useFreshness();
  useEffect(() => {
    if (freshness === "fresh") return undefined;
    const readAnew = () => void queries.invalidateQueries();
    const timer = setInterval(readAnew, pause);
    return () => {
      clearInterval(timer);
      readAnew();
    };
  }, [freshness]);
  return <div role="status">{freshness !== "fresh" && <p className={classes.words}>{words[freshness]}</p>}</div>;
}

const words: Record<Exclude<Freshness, "fresh">, string> = {
  stale:
    "What is shown may be out of date, and nothing can be changed: too few members of the server’s store are there. " +
    "Hosts enforce what they have.",
  away: "The server can’t be reached. What is shown may be out of date.",
};
