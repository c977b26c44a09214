// What the address says of the tree: how it is grown, what is open, selected, switched off, and called by which name.
import { address, go } from "../../state/address";
import { recordedOf } from "../../state/recorded";
import { model, photo, target, transport } from "../../state/store";

export const DEFAULT_BRANCHING = 5;
export const OPPONENTS = 2;
const LEAST: Record<string, number> = { parts: 3 };

/** How the decision is taken apart: with this the server grows the same tree anew. */
export function treeQuery(nodes = nodesShown(), compared?: string): Record<string, string | number> {
  const { branching, rule, reference = "blur" } = address.value as Record<string, string | undefined>;
  const on = { photo: photo.value!.hash, model: model.value!.name, target: target.value, nodes };
  const here = recordedOf(transport.value, "tree", on.photo, on.model);
  const recorded = here.find(({ query }) => query.target === on.target && query.nodes === nodes);
  if (recorded) return recorded.query as Record<string, string | number>;
  const grown = { ...on, branching: Number(branching ?? DEFAULT_BRANCHING) };
  return nodes === "parts"
    ? { ...grown, reference: compared ?? reference }
    : { ...grown, rule: rule ?? "exact", opponents: OPPONENTS };
}

export function nodesShown(): string {
  return (address.value["nodes"] as string | undefined) ?? "parts";
}

/** Ids from the first level on; the last one's supporters are the last column. */
export function opened(): string[] {
  return split(address.value["open"], "-");
}

/** The way to the selected node. */
export function selected(): string[] {
  const chosen = split(address.value["node"], "-");
  return chosen.length ? chosen : opened();
}

export function select(way: readonly string[], open: readonly string[] = opened()): void {
  const same = way.join("-") === open.join("-");
  go({ open: open.join("-") || undefined, node: same ? undefined : way.join("-") || undefined });
}

/** Id → scale of what is switched off or scaled. */
export function scales(): Map<string, number> {
  return new Map(split(address.value["off"], ",").map((one) => [one.split(":")[0]!, Number(one.split(":")[1] ?? 0)]));
}

export function scale(id: string, by: number, step: "new" | "same" = "new"): void {
  const next = scales();
  if (by === 1) next.delete(id);
  else next.set(id, by);
  go({ off: [...next].map(([one, times]) => `${one}:${times}`).join(",") || undefined }, step);
}

export function nameOf(id: string): string | undefined {
  return names().get(id);
}

export function rename(id: string, name: string): void {
  const next = names();
  if (name.trim()) next.set(id, name.trim().slice(0, 40));
  else next.delete(id);
  go({ names: [...next].map(([one, text]) => `${one}:${encodeURIComponent(text)}`).join(",") || undefined });
}

/** Percent of its parent that a node carries at least to be shown by itself. */
export function least(): number {
  return Number(address.value["least"] ?? LEAST[nodesShown()] ?? 0);
}

/** Another tree has other nodes. */
export const FORGOTTEN = { open: undefined, node: undefined, off: undefined, names: undefined };

function names(): Map<string, string> {
  return new Map(split(address.value["names"], ",").map((one) => [one.split(":")[0]!, decoded(one.split(":")[1] ?? "")]));
}

function split(field: unknown, by: string): string[] {
  return typeof field === "string" && field ? field.split(by) : [];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // an address that somebody wrote
  }
}
