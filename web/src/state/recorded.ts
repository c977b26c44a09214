// Answers that were recorded in the page itself: a report opens from disk, without a server.
import { keyOf, Problem, type Transport } from "./transport";

export function recorded(answers: Readonly<Record<string, unknown>>): Transport {
  return {
    live: false,
    has: (name, query) => keyOf(name, query) in answers,
    ask<Answer>(name: string, query: object) {
      const answer = answers[keyOf(name, query)];
      return answer === undefined
        ? Promise.reject(new Problem("This was not recorded in the report. Open the studio to ask the network."))
        : Promise.resolve(answer as Answer);
    },
  };
}
