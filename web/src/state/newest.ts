// Answers to a query that changes all the time, as while a person drags: one is asked at a time, and the newest wins.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "./answers";
import { keyOf } from "./transport";

const PAUSE = 67; // milliseconds between two questions: at most 15 a second

export interface Newest<Answer> {
  /** The last answer; null where nothing is asked. */
  answer: Answer | null;
  /** It is that of the query. */
  current: boolean;
  problem: string | null;
}

/** `query` null asks nothing. */
export function useNewest<Answer>(name: string, query: object | null): Newest<Answer> {
  const key = query ? keyOf(name, query) : "";
  const [heard, hear] = useState<{ key: string; answer: Answer | null; problem: string | null }>({ key: "", answer: null, problem: null });
  const wanted = useRef<{ key: string; query: object | null }>({ key: "", query: null });
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
        (answer) => gone.current || hear({ key: asked, answer, problem: null }),
        (error: unknown) => gone.current || hear((before) => ({ key: asked, answer: before.answer, problem: error instanceof Error ? error.message : String(error) })),
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
  return { answer: there ? heard.answer : null, current: there && heard.key === key, problem: there ? heard.problem : null };
}
