// An answer that grows: each question goes a little further, so that other questions come between; pausing is not asking.
import { useEffect, useState } from "preact/hooks";
import { transport } from "./store";
import { keyOf, sentenceOf } from "./transport";

export interface Growing<Answer> {
  answer: Answer | null;
  /** There is more to come. */
  running: boolean;
  problem: string | null;
}

const KEPT = 60;
const grown = new Map<string, unknown>();

/**
 * Ask `name` with `query` and what `onward` adds, until that is null.
 *
 * @param onward what the next question adds to the query after an answer (null at first); null where all is said.
 * @param going false pauses.
 * @param again where this changes there may be more to say, such as of photos that were added.
 */
export function useBouts<Answer>(
  name: string,
  query: object,
  onward: (answer: Answer | null) => object | null,
  going: boolean,
  again: unknown = null,
): Growing<Answer> {
  const key = keyOf(name, query);
  const [state, setState] = useState({ key, problem: null as string | null, version: 0 });
  useEffect(() => {
    if (!going) return;
    // What is on its way when it is paused still counts.
    let halted = false;
    const hear = (problem: string | null) => setState((before) => ({ key, problem, version: before.version + 1 }));
    const ask = async () => {
      for (;;) {
        const more = onward((grown.get(key) as Answer | undefined) ?? null);
        if (!more || halted) return;
        keepGrown(key, await transport.value.ask<Answer>(name, { ...query, ...more }, new AbortController().signal));
        hear(null);
      }
    };
    ask().catch((error: unknown) => halted || hear(sentenceOf(error)));
    return () => {
      halted = true;
    };
  }, [key, going, again]);
  const answer = (grown.get(key) as Answer | undefined) ?? null;
  const problem = state.key === key ? state.problem : null;
  return { answer, problem, running: going && !problem && onward(answer) !== null };
}

/** Put the answer there is, such as the one to a question that ends it. */
export function keepGrown(key: string, answer: unknown): void {
  grown.delete(key);
  grown.set(key, answer);
  if (grown.size > KEPT) grown.delete(grown.keys().next().value!);
}
