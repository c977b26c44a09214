// What is awaited: a line, how far it is, how long it takes, and a way to stop it. Under 150 ms nothing is shown.
import { useEffect, useState } from "preact/hooks";
import type { Asked } from "../state/answers";
import { seconds } from "../words/numbers";

export function Waiting({ asked, what }: { asked: Asked<unknown>; what?: string }) {
  const [long, setLong] = useState(false);
  useEffect(() => {
    setLong(false);
    if (!asked.waiting) return;
    const timer = setTimeout(() => setLong(true), 150);
    return () => clearTimeout(timer);
  }, [asked.waiting]);
  if (asked.problem) return <p class="problem" role="alert">{asked.problem}</p>;
  if (!asked.waiting || !long) return null;
  const { done = 0, total = 0, left = null, what: now = "" } = asked.progress ?? {};
  return (
    <div class="waiting" role="status">
      <progress value={total ? done : undefined} max={total || undefined} aria-label={what || now || "Working"} />
      <span>
        {what || now || "Working"}
        {total > 0 && `, ${done} of ${total}`}
        {left !== null && `, about ${seconds(Math.max(left, 1))} left`}
      </span>
      <button type="button" onClick={asked.stop}>
        Stop
      </button>
    </div>
  );
}
