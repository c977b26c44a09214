// What the address says about a match, and what else the view is about.
import { computed } from "@preact/signals";
import { address, go } from "../../state/address";
import { library, model, photo, transport } from "../../state/store";
import type { PhotoEntry } from "../../wire/types";

/** The photos that the photo can be compared with. */
export const others = computed<PhotoEntry[]>(() => (library.value?.photos ?? []).filter((one) => one !== photo.value));

/** How embeddings are compared. */
export const metric = computed(() => address.value.metric as string | undefined ?? "cosine");

/** What makes the maps; other views have methods that explain classes. */
export const by = computed(() => (address.value.by as string | undefined) ?? "fam");

/** A position whose counterpart is shown: on which photo, row, column. */
export interface Chosen {
  side: "query" | "reference";
  row: number;
  column: number;
}

export const chosen = computed<Chosen | null>(() => {
  const found = /^(query|reference):(\d+),(\d+)$/.exec((address.value.at as string | undefined) ?? "");
  return found ? { side: found[1] as Chosen["side"], row: Number(found[2]), column: Number(found[3]) } : null;
});

export function choose(side: Chosen["side"], [row, column]: readonly [number, number]): void {
  go({ at: `${side}:${row},${column}` });
}

/** The match with a photo can be shown: in a report, was recorded. */
export function isMatched(other: string): boolean {
  const pair = { photo: photo.value?.hash, model: model.value?.name, metric: metric.value, other };
  return transport.value.has("match", { ...pair, method: by.value, lines: null, parts: 0 });
}

export function compareWith(hash: string): void {
  go({ with: hash, at: undefined });
}

export function find(hash: unknown): PhotoEntry | null {
  return others.value.find((one) => one.hash === hash) ?? null;
}

export const METRICS = [
  ["cosine", "Cosine"],
  ["dot", "Dot product"],
  ["euclidean", "Euclidean distance"],
  ["nearest", "Nearest positions"],
] as const;
