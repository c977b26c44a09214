// A shape on the photo: positions of a map, and strokes of a brush over them; as text for the address.
import type { Field } from "../../../wire/map";
import type { Shape, Stroke, Tiles } from "../../../wire/altered";

export const EMPTY: Shape = { tiles: null, strokes: [] };
const FINE = 1000; // steps of the photo's side, in the address
const ROOM = 147; // steps beyond the photo's edge: two letters hold −0.147 to 1.148

export function isEmpty(shape: Shape): boolean {
  return !shape.tiles && !shape.strokes?.some((stroke) => !stroke.erase);
}

/** Positions (row · columns + column) of a map as a shape. */
export function tilesOf(field: Field, cells: readonly number[]): Tiles {
  return { offset: field.grid.offset, step: field.grid.step, runs: runsOf(cells, field.columns) };
}

/** (row, first column, last column) of positions. */
export function runsOf(cells: readonly number[], columns: number): [number, number, number][] {
  const runs: [number, number, number][] = [];
  for (const cell of [...cells].sort((a, b) => a - b)) {
    const [row, column] = [Math.floor(cell / columns), cell % columns];
    const last = runs.at(-1);
    if (last && last[0] === row && last[2] === column - 1) last[2] = column;
    else runs.push([row, column, column]);
  }
  return runs;
}

/** "t" and numbers are positions; "s" a stroke, "x" one that erases: its radius, then its points, two letters a number. */
export function formatShape(shape: Shape): string {
  const parts: string[] = [];
  if (shape.tiles) {
    const { offset, step, runs } = shape.tiles;
    const numbers = [...offset, ...step].map((value) => Math.round(value * 1e6));
    parts.push(`t${[...numbers, ...runs.flat()].map((number) => number.toString(36)).join(".")}`);
  }
  for (const { erase, radius, points } of shape.strokes ?? [])
    parts.push(`${erase ? "x" : "s"}${letters(radius * FINE)}${points.flat().map((value) => letters(value * FINE + ROOM)).join("")}`);
  return parts.join("_");
}

export function parseShape(text: string | undefined): Shape {
  let tiles: Tiles | null = null;
  const strokes: Stroke[] = [];
  for (const part of text?.split("_") ?? []) {
    const numbers = part[0] === "t" ? part.slice(1).split(".") : (part.slice(1).match(/../g) ?? []);
    const read = numbers.map((number) => parseInt(number, 36));
    if (!part || read.some(Number.isNaN)) continue;
    if (part[0] === "t") tiles = tilesFrom(read);
    else if (part[0] === "s" || part[0] === "x") {
      const [radius, ...rest] = read as [number, ...number[]];
      const points = Array.from({ length: rest.length >> 1 }, (_, i) => [(rest[2 * i]! - ROOM) / FINE, (rest[2 * i + 1]! - ROOM) / FINE]);
      if (radius > 0 && points.length) strokes.push({ radius: Math.min(radius / FINE, 1), points, erase: part[0] === "x" });
    }
  }
  return { tiles, strokes };
}

function tilesFrom([ox, oy, dx, dy, ...rest]: number[]): Tiles | null {
  if (!dx || !dy) return null;
  const runs = Array.from({ length: Math.floor(rest.length / 3) }, (_, i) => rest.slice(3 * i, 3 * i + 3));
  return { offset: [ox! / 1e6, oy! / 1e6], step: [dx / 1e6, dy / 1e6], runs };
}

function letters(value: number): string {
  return Math.min(Math.max(Math.round(value), 0), 36 * 36 - 1)
    .toString(36)
    .padStart(2, "0");
}

/** As the address will have it, so that what is asked while drawing and afterwards is the same. */
export function settled(shape: Shape): Shape {
  return parseShape(formatShape(shape));
}
