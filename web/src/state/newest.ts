// Answers to a query that changes all the time, as while a person drags: one is asked at a time, and the newest wins.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "./answers";
import { keyOf, sentenceOf } from "./transport";

const PAUSE = 67; // milliseconds between two questions: at most 15 a second

export interface Newest<Answer, Query = object> {
  /** The last answer; null where nothing is asked. */
  answer: Answer | null;
  /** What the answer is to; while `current` is false that is an earlier query. */
  query: Query | null;
  /** The answer is that to the query. */
  current: boolean;
  problem: string | null;
}

interface Heard<Answer, Query> {
  key: string;
  query: Query | null;
  answer: Answer | null;
  problem: string | null;
}

/** `query` null asks nothing. */
export function useNewest<Answer, Query extends object>(name: string, query: Query | null): Newest<Answer, Query> {
  const key = query ? keyOf(name, query) : "";
  const [heard, hear] = useState<Heard<Answer, Query>>({ key: "", query: null, answer: null, problem: null });
  const wanted = useRef<{ key: string; query: Query | null }>({ key: "", query: null });
  const busy = useRef(false);
  const gone = useRef(false);
  wanted.current = { key, query };

  const next = () => {
    const { key: asked, query: now } = wanted.current;
    if (busy.current || gone.current || !now) return;
    busy.current = true;
    const rest = new Promise((resolve) => setTimeout(resolve, PAUSE));
    void ask<Answer>(name, now)
      .then(
        (answer) => gone.current || hear({ key: asked, query: now, answer, problem: null }),
        (error: unknown) => gone.current || hear((before) => ({ ...before, key: asked, problem: sentenceOf(error) })),
      )
      .then(() => rest)
      .then(() => {
        busy.current = false;
        if (wanted.current.key !== asked) next();
      });
  };
  useEffect(next, [key]);
  useEffect(
    () => () => {
      gone.current = true;
    },
    [],
  );
  const there = Boolean(key);
  const known = there && heard.answer !== null;
  return {
    answer: known ? heard.answer : null,
    query: known ? heard.query : null,
    current: there && heard.key === key && !heard.problem,
    problem: there ? heard.problem : null,
  };
}
