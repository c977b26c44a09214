// In which order selected decisions are shown, and a selection as it travels.
import { columnName } from "./colors";
import type { AtlasData } from "./data";

/** "" is the order of the run; "score" the highest first, "-score" the lowest. */
export function orderings(data: AtlasData): { value: string; title: string }[] {
  const ends = [...data.numbers.keys()].flatMap((name) => [
    { value: name, title: `highest ${columnName(name)} first` },
    { value: `-${name}`, title: `lowest ${columnName(name)} first` },
  ]);
  return [{ value: "", title: "in the order of the run" }, ...ends];
}

/** Points without a number come last. */
export function ordered(data: AtlasData, points: Int32Array, order: string): Int32Array {
  const values = data.numbers.get(order.replace(/^-/, ""));
  if (!values) return points;
  const sign = order.startsWith("-") ? -1 : 1;
  const value = (point: number) => (Number.isFinite(values[point]!) ? sign * values[point]! : -Infinity);
  return points.slice().sort((a, b) => (value(a) === value(b) ? a - b : value(b) > value(a) ? 1 : -1));
}

/** A bit for each point, the first in the lowest; base64. */
export function bitsOf(points: Int32Array, count: number): string {
  const bytes = new Uint8Array(Math.ceil(count / 8));
  for (const point of points) bytes[point >> 3]! |= 1 << (point & 7);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
