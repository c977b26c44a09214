// Where answers come from: a server, a report's own data, or a notebook. Views do not know which.

export interface Progress {
  what: string;
  done: number;
  total: number;
  left: number | null;
}

/** An answer that a report has. */
export interface Recorded {
  name: string;
  query: Readonly<Record<string, unknown>>;
  answer: unknown;
}

export interface Transport {
  /** Whether a network answers; a report has what was recorded. */
  readonly live: boolean;
  /** The answer to a query. Rejects with a `Problem`, or an AbortError when the signal says so. */
  ask<Answer>(name: string, query: object, signal: AbortSignal, progress?: (progress: Progress) => void): Promise<Answer>;
  /** Whether there can be an answer. */
  has(name: string, query: object): boolean;
  /** Everything that was recorded, in a report. */
  readonly recorded?: readonly Recorded[];
  /** Add a photo; its entry is what the server makes of it. */
  upload?(file: Blob, name: string): Promise<unknown>;
  /** Hear what Python opens on the page; what comes back ends it. */
  openings?(hear: (address: string) => void): () => void;
}

/** One sentence: what went wrong, and what to do. */
export class Problem extends Error {
  constructor(
    sentence: string,
    readonly lost = false,
  ) {
    super(sentence);
  }
}

/** The same text for the same query, whatever the order of its fields. */
export function keyOf(name: string, query: object): string {
  const ordered = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(ordered);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, ordered(v)]));
    return value;
  };
  return `${name} ${JSON.stringify(ordered(query))}`;
}

/** What went wrong, as a page says it. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
