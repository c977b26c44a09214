// Answers while something is dragged: the newest question wins, none waits behind an older one.
import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "./answers";
import { keyOf, sentenceOf } from "./transport";

const APART = 1000 / 15; // milliseconds between two questions

export interface Live<Answer> {
  /** The latest, even if not yet that of the newest query. */
  answer: Answer | null;
  problem: string | null;
}

export function useLive<Answer>(name: string, query: object | null): Live<Answer> {
  const [state, setState] = useState<Live<Answer>>({ answer: null, problem: null });
  const line = useRef({ busy: false, next: null as object | null, last: 0, gone: false });
  useEffect(() => {
    line.current.gone = false;
    return () => {
      line.current.gone = true;
    };
  }, []);
  useEffect(() => {
    const at = line.current;
    at.next = query;
    const send = async () => {
      at.busy = true;
      while (at.next && !at.gone) {
        await new Promise((ready) => setTimeout(ready, Math.max(0, at.last + APART - performance.now())));
        const now: object | null = at.next;
        at.next = null;
        if (!now) break;
        at.last = performance.now();
        try {
          const answer = await ask<Answer>(name, now);
          if (!at.gone) setState({ answer, problem: null });
        } catch (error) {
          if (!at.gone) setState((before) => ({ ...before, problem: sentenceOf(error) }));
        }
      }
      at.busy = false;
    };
    if (query && !at.busy) void send();
  }, [query ? keyOf(name, query) : ""]);
  return state;
}
