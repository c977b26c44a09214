// What of the atlas is looked at, out of the address: filters, a group, an area, an order, a row.
import { address, go, type Address } from "../../state/address";
import type { AtlasData } from "./data";

export interface Range {
  column: string;
  low: number | null;
  high: number | null;
}

export type Corner = readonly [number, number];

export interface Choice {
  predicted?: string | undefined;
  label?: string | undefined;
  outcome?: "right" | "wrong" | "failed" | undefined;
  ranges: readonly Range[];
  group: number | null;
  /** Corners of an area, 0 to 1. */
  area: readonly Corner[] | null;
}

export function choiceOf(at: Address = address.value): Choice {
  const outcome = String(at.outcome ?? "");
  const group = /^\d{1,6}$/.test(String(at.reason ?? "")) ? Number(at.reason) : null;
  const corners = String(at.inside ?? "")
    .split("~")
    .map((corner) => corner.split(".").map((value) => Number(value) / 1000))
    .filter((corner): corner is [number, number] => corner.length === 2 && corner.every(Number.isFinite));
  return {
    predicted: at.is as string | undefined,
    label: at.labeled as string | undefined,
    outcome: outcome === "right" || outcome === "wrong" || outcome === "failed" ? outcome : undefined,
    ranges: rangesOf(String(at.range ?? "")),
    group,
    area: corners.length > 2 ? corners : null,
  };
}

function rangesOf(text: string): Range[] {
  const bound = (value: string | undefined) => (value && Number.isFinite(Number(value)) ? Number(value) : null);
  return text
    .split("~")
    .map((one) => one.split(":"))
    .filter(([column]) => column)
    .map(([column, low, high]) => ({ column: column!, low: bound(low), high: bound(high) }));
}

export function setRanges(ranges: readonly Range[]): void {
  go({ range: ranges.map(({ column, low, high }) => `${column}:${low ?? ""}:${high ?? ""}`).join("~") || undefined }, "same");
}

/** An area as the address has it: whole thousandths. */
export function areaText(corners: readonly Corner[]): string {
  return corners.map((corner) => corner.map((value) => Math.round(Math.min(Math.max(value, 0), 1) * 1000)).join(".")).join("~");
}

/** Nothing is selected but what the filters leave. */
export const EVERYTHING: Partial<Address> = { is: undefined, labeled: undefined, outcome: undefined, range: undefined, reason: undefined, inside: undefined };

/** Of each point: 0, left out by a filter; 1, there; 2, selected, where a group or an area is. */
export function statesOf(data: AtlasData, choice: Choice): Uint8Array {
  const states = new Uint8Array(data.count);
  const wanted = (name: string, value: string | undefined) => {
    const column = value === undefined ? undefined : data.texts.get(name);
    return column && ([column.codes, column.values.indexOf(value!)] as const);
  };
  const texts = [wanted("predicted", choice.predicted), wanted("label", choice.label)].filter((one) => one !== undefined);
  const right = choice.outcome === "right" ? 1 : choice.outcome === "wrong" ? 0 : choice.outcome === "failed" ? 9 : null;
  const ranges = choice.ranges.flatMap(({ column, low, high }) => (data.numbers.has(column) ? [{ values: data.numbers.get(column)!, low: single(low), high: single(high) }] : []));
  const selects = choice.area !== null || (choice.group !== null && data.group !== null);
  for (let i = 0; i < data.count; i++) {
    if (!texts.every(([codes, code]) => codes[i] === code)) continue;
    if (right !== null && data.right?.[i] !== right) continue;
    if (!ranges.every(({ values, low, high }) => (low === null || values[i]! >= low) && (high === null || values[i]! <= high))) continue;
    const member = choice.group === null || !data.group || data.group[i] === choice.group;
    states[i] = selects && member && (!choice.area || isInside(choice.area, data.x[i]!, data.y[i]!)) ? 2 : 1;
  }
  return states;
}

/** As precise as the numbers that it is compared with, in Python too. */
function single(bound: number | null): number | null {
  return bound === null ? null : Math.fround(bound);
}

/** Even-odd: whether a ray to the left crosses the border an odd number of times. */
export function isInside(corners: readonly Corner[], x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [ax, ay] = corners[i]!;
    const [bx, by] = corners[j]!;
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) inside = !inside;
  }
  return inside;
}

/** The points that are selected; where none is, those that the filters leave. */
export function pointsOf(states: Uint8Array): Int32Array {
  const wanted = states.includes(2) ? 2 : 1;
  let count = 0;
  for (const state of states) if (state === wanted) count++;
  const points = new Int32Array(count);
  for (let i = 0, at = 0; i < states.length; i++) if (states[i] === wanted) points[at++] = i;
  return points;
}
