// The colors of points: kinds by hue, all of one lightness; numbers from pale to full.
import { countsOf, type AtlasData, type TextColumn } from "./data";

export type Rgb = readonly [number, number, number];

export interface Kind {
  name: string;
  /** Its number in the column. */
  code: number;
  count: number;
  color: Rgb;
}

export interface Coloring {
  /** Of each point the number of its color. */
  codes: Uint8Array;
  colors: readonly Rgb[];
  /** What the colors stand for, the most frequent first; null for numbers. All other kinds are gray. */
  kinds: readonly Kind[] | null;
  others: number;
  /** The numbers of the first and the last color. */
  ends: readonly [number, number] | null;
}

const HUES = [255, 50, 150, 330, 95, 200, 20, 290, 120, 225];
const STEPS = 32;
const TAIL = 0.02; // of the numbers at each end share a color, so that a few do not take all of them

/** Color by a column of text, "right", "group", or a column of numbers. */
export function coloringOf(data: AtlasData, by: string, dark: boolean): Coloring {
  const numbers = data.numbers.get(by);
  if (numbers) return ofNumbers(numbers, dark);
  if (by === "right" && data.right) {
    const column = { values: ["predicted otherwise", "predicted as labeled"], codes: Int32Array.from(data.right) };
    return ofKinds(data, column, [inkOf(dark), grayOf(dark)], dark, [0, 1]);
  }
  const hues = HUES.map((hue) => oklch(dark ? 0.76 : 0.6, 0.13, hue));
  if (by === "group" && data.group) {
    const { groups } = data.answer;
    const odd = groups.flatMap((group, code) => (group.odd ? [code] : [])).sort((a, b) => Number(groups[b]!.flagged) - Number(groups[a]!.flagged));
    return ofKinds(data, { values: groups.map(groupName), codes: data.group }, hues, dark, odd.length ? odd : undefined);
  }
  const column = data.texts.get(by) || data.texts.get("predicted") || { values: [], codes: new Int32Array(data.count).fill(-1) };
  return ofKinds(data, column, hues, dark);
}

export function groupName(group: { class_name: string }, number: number): string {
  return `${group.class_name}, group ${number + 1}`;
}

/** What points can be colored by, and what that is called. */
export function colorings(data: AtlasData): { value: string; title: string }[] {
  return [
    ...[...data.texts.keys()].map((value) => ({ value, title: value === "predicted" ? "predicted class" : value })),
    ...(data.right ? [{ value: "right", title: "right or wrong" }] : []),
    ...(data.group ? [{ value: "group", title: "group" }] : []),
    ...[...data.numbers.keys()].map((value) => ({ value, title: columnName(value) })),
  ];
}

/** "audit effect". */
export function columnName(column: string): string {
  return column.replaceAll("_", " ");
}

export function css([r, g, b]: Rgb): string {
  return `rgb(${r} ${g} ${b})`;
}

/** @param order which kinds have a color, the first first; the most frequent ones where it is left out. */
function ofKinds(data: AtlasData, column: TextColumn, colors: readonly Rgb[], dark: boolean, order?: readonly number[]): Coloring {
  const counted = countsOf(column, data.all);
  const wanted = order ? order.flatMap((code) => counted.filter((one) => one.code === code)) : counted;
  const kinds = wanted.slice(0, colors.length).map((one, i) => ({ ...one, color: colors[i]! }));
  const place = new Map(kinds.map(({ code }, i) => [code, i]));
  const codes = Uint8Array.from(column.codes, (code) => place.get(code) ?? kinds.length);
  return { codes, colors: [...kinds.map(({ color }) => color), grayOf(dark)], kinds, others: counted.length - kinds.length, ends: null };
}

function ofNumbers(values: Float32Array, dark: boolean): Coloring {
  const known = values.filter(Number.isFinite).sort();
  const at = (share: number) => known[Math.round(share * (known.length - 1))] ?? 0;
  const [low, high] = [at(TAIL), at(1 - TAIL)];
  const span = high - low || 1;
  const step = (value: number) => Math.round(Math.min(Math.max((value - low) / span, 0), 1) * (STEPS - 1));
  const [pale, full] = dark ? [0.42, 0.92] : [0.86, 0.36];
  const colors = Array.from({ length: STEPS }, (_, i) => oklch(pale + ((full - pale) * i) / (STEPS - 1), 0.11, 255));
  const codes = Uint8Array.from(values, (value) => (Number.isFinite(value) ? step(value) : STEPS));
  return { codes, colors: [...colors, grayOf(dark)], kinds: null, others: 0, ends: [low, high] };
}

function inkOf(dark: boolean): Rgb {
  return dark ? [237, 237, 234] : [28, 29, 33];
}

function grayOf(dark: boolean): Rgb {
  return dark ? [104, 108, 116] : [176, 178, 184];
}

/** OKLCH as sRGB, as the browser has it. */
function oklch(lightness: number, chroma: number, hue: number): Rgb {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!;
  context.fillStyle = `oklch(${lightness} ${chroma} ${hue})`;
  context.fillRect(0, 0, 1, 1);
  const [r = 0, g = 0, b = 0] = context.getImageData(0, 0, 1, 1).data;
  return [r, g, b];
}
