// Answers that were recorded in the page itself: a report opens from disk, without a server.
import { keyOf, Problem, type Recorded, type Transport } from "./transport";

/** The answers inside a page; long texts that occur several times stand there once, and "~3" in their places. */
export function inside(text: string): Record<string, unknown> {
  const { shared } = JSON.parse(text) as { shared: readonly string[] };
  const whole = (_: string, value: unknown) => {
    if (typeof value !== "string" || !/^~+\d+$/.test(value)) return value;
    return value[1] === "~" ? value.slice(1) : shared[Number(value.slice(1))];
  };
  return (JSON.parse(text, whole) as { answers: Record<string, unknown> }).answers;
}

export function recorded(answers: Readonly<Record<string, unknown>>): Transport {
  const all: Recorded[] = Object.entries(answers).map(([key, answer]) => {
    const space = key.indexOf(" ");
    return { name: key.slice(0, space), query: JSON.parse(key.slice(space + 1)) as Record<string, unknown>, answer };
  });
  return {
    live: false,
    recorded: all,
    has: (name, query) => keyOf(name, query) in answers,
    ask<Answer>(name: string, query: object) {
      const answer = answers[keyOf(name, query)];
      return answer === undefined
        ? Promise.reject(new Problem("This was not recorded in the report. Open the studio to ask the network."))
        : Promise.resolve(answer as Answer);
    },
  };
}

/** What a view asks first, where that has another name. */
const ASKS: Record<string, string> = { methods: "comparison" };

/** What a report has about a view; of one photo and model, where these are named. */
export function recordedOf({ recorded: all = [] }: Transport, view: string, photo?: string, model?: string): readonly Recorded[] {
  const asked = ASKS[view] ?? view;
  return all.filter(
    ({ name, query }) => name === asked && (!photo || query.photo === photo) && (!model || query.model === model),
  );
}

type Choice = Record<"target" | "method", string>;

/** What the address wants, where the report has it; otherwise the nearest that it has. A studio has everything. */
export function nearest(transport: Transport, view: string, photo: string, model: string, wanted: Choice): Choice {
  const here = recordedOf(transport, view, photo, model);
  let best: Partial<Choice> = {};
  let most = -1;
  for (const { query } of here) {
    const fits = Number(query.target === wanted.target) * 2 + Number(query.method === wanted.method);
    if (fits > most) [best, most] = [query as Partial<Choice>, fits];
  }
  return { target: best.target ?? wanted.target, method: best.method ?? wanted.method };
}
