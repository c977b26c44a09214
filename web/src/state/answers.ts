// An answer as a view uses it: the old one stays until the new one is whole; late ones are dropped.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { lost, transport } from "./store";
import { keyOf, Problem, type Progress, sentenceOf } from "./transport";

export interface Asked<Answer> {
  /** The answer to the query, or, while `waiting`, that to an earlier one. */
  answer: Answer | null;
  /** The answer is not (yet) that of the query. */
  waiting: boolean;
  progress: Progress | null;
  /** One sentence. */
  problem: string | null;
  stop: () => void;
}

const KEPT = 400;
const kept = new Map<string, unknown>();
const changes = signal(0);

export function keep(key: string, answer: unknown): void {
  kept.delete(key);
  kept.set(key, answer);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value!);
  changes.value++;
}

/** The answer where the page has it already; a view that looks is drawn again when there is more. */
export function known<Answer>(name: string, query: object): Answer | null {
  void changes.value;
  return (kept.get(keyOf(name, query)) as Answer | undefined) ?? null;
}

/** What was asked about a photo and answered: the name of the ask, and its query. */
export function askedAbout(photo: string): { name: string; query: object }[] {
  const about = [...kept.keys()].filter((key) => key.includes(JSON.stringify(photo)));
  return about.map((key) => {
    const space = key.indexOf(" ");
    return { name: key.slice(0, space), query: JSON.parse(key.slice(space + 1)) as object };
  });
}

/** Ask once, outside of a view. */
export async function ask<Answer>(name: string, query: object, signal = new AbortController().signal): Promise<Answer> {
  const key = keyOf(name, query);
  if (kept.has(key)) return kept.get(key) as Answer;
  const answer = await transport.value.ask<Answer>(name, query, signal);
  keep(key, answer);
  return answer;
}

/** The answer to a query, asked again whenever it changes; null asks nothing, nor does what a report does not have. */
export function useAnswer<Answer>(name: string, query: object | null): Asked<Answer> {
  const key = query && transport.value.has(name, query) ? keyOf(name, query) : "";
  const [state, setState] = useState<{ key: string; progress: Progress | null; problem: string | null }>({
    key: "",
    progress: null,
    problem: null,
  });
  const last = useRef<Answer | null>(null);
  const stop = useRef<() => void>(() => undefined);
  const known = key && kept.has(key);
  if (known) last.current = kept.get(key) as Answer;
  if (!key) last.current = null;

  useEffect(() => {
    if (!key || kept.has(key)) return;
    const control = new AbortController();
    const hear = (change: Partial<typeof state>) =>
      control.signal.aborted || setState((before) => ({ ...(before.key === key ? before : { progress: null, problem: null }), key, ...change }));
    stop.current = () => {
      hear({ problem: "Stopped." });
      control.abort();
    };
    transport.value.ask<Answer>(name, query!, control.signal, (progress) => hear({ progress })).then(
      (answer) => {
        keep(key, answer);
        lost.value = false;
        hear({ progress: null, problem: null });
      },
      (error: unknown) => {
        if (control.signal.aborted) return;
        if (error instanceof Problem && error.lost) lost.value = true;
        hear({ progress: null, problem: sentenceOf(error) });
      },
    );
    return () => control.abort();
  }, [key, lost.value]);

  const mine = state.key === key ? state : null;
  return {
    answer: last.current,
    waiting: Boolean(key) && !known && !mine?.problem,
    progress: known ? null : (mine?.progress ?? null),
    problem: known ? null : (mine?.problem ?? null),
    stop: () => stop.current(),
  };
}
