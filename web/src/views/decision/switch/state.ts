// Which channels of which layer are switched off, where, and how far: all of it is in the address.
import { computed } from "@preact/signals";
import { address, go } from "../../../state/address";
import { transport } from "../../../state/store";
import type { Switch } from "../../../wire/altered";
import { OWN } from "../finer";

export type Run = [number, number, number];
const NONE = "-";
const ALL = "all";

export const switching = computed(() => Boolean(address.value.off));
export const at = computed(() => (address.value.at as string | undefined) ?? "");
/** The channels that are chosen; "all" for every channel of a place. */
export const chosen = computed<readonly number[] | "all">(() => {
  const text = address.value.off as string | undefined;
  if (text === ALL) return "all";
  return (text ?? "").split(".").map(Number).filter((one) => Number.isInteger(one) && one >= 0 && text !== NONE && text !== "");
});
/** The positions; null is everywhere. */
export const where = computed<Run[] | null>(() => {
  const numbers = ((address.value.where as string | undefined) ?? "").split(".").map((one) => parseInt(one, 36));
  if (numbers.some(Number.isNaN) || numbers.length < 3) return null;
  return Array.from({ length: Math.floor(numbers.length / 3) }, (_, i) => numbers.slice(3 * i, 3 * i + 3) as Run);
});
export const factor = computed(() => Math.min(Math.max(Number(address.value.times ?? 0) || 0, 0), 2));

export const switched = computed<Switch | null>(() => {
  if (!switching.value || (chosen.value !== "all" && !chosen.value.length)) return null;
  return { layer: at.value, channels: chosen.value === "all" ? [] : [...chosen.value], runs: where.value, factor: factor.value };
});

export function startSwitch({ layer, runs = null }: { layer: string; runs?: Run[] | null }): void {
  go({ ...OWN, off: NONE, at: layer, where: textOf(runs), times: undefined, brush: undefined, shape: undefined, left: undefined });
}

/** The channels of one position. */
export function startAt(layer: string, [row, column]: readonly [number, number]): void {
  if (transport.value.live && layer !== "input") startSwitch({ layer, runs: [[row, column, column]] });
}

export function finishSwitch(): void {
  go({ off: undefined, at: undefined, where: undefined, times: undefined });
}

export function choose(channels: readonly number[] | "all"): void {
  go({ off: channels === "all" ? ALL : channels.join(".") || NONE });
}

export function place(runs: Run[] | null): void {
  go({ where: textOf(runs), off: chosen.value === "all" && !runs ? NONE : address.value.off });
}

export function scale(by: number): void {
  go({ times: by ? String(by) : undefined }, "same");
}

function textOf(runs: Run[] | null): string | undefined {
  return runs?.flat().map((one) => one.toString(36)).join(".") || undefined;
}
