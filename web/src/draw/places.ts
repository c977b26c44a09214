// Places: connected regions of strong evidence, at most four, the largest sum first.
import type { Field } from "../wire/map";

export interface Place {
  /** 1 for the place with the most evidence for; in the order of |sum|. */
  number: number;
  against: boolean;
  /** The value beyond which a position belongs to it. */
  level: number;
  /** Positions (row · columns + column). */
  cells: number[];
  sum: number;
  /** Share of all evidence of its sign in the map. */
  share: number;
  /** Share of the map's positions. */
  area: number;
}

const MOST = 4;
const FOR = 0.14; // of the maximum
const AGAINST = 0.05; // of the maximum
const SMALLEST = 0.02; // of all evidence: what holds less is no place

export function placesOf(field: Field): Place[] {
  const finite = field.values.map((value) => (Number.isFinite(value) ? value : 0));
  const high = Math.max(0, ...finite);
  const low = Math.max(0, ...finite.map((value) => -value));
  const [above, below] = [FOR * high, Math.max(AGAINST * high, FOR * low)];
  const positive = high > 0 ? regions(field, finite, (value) => value > above) : [];
  const negative = low > AGAINST * high ? regions(field, finite, (value) => -value > below) : [];
  const sums = { for: total(finite, 1), against: total(finite, -1) };
  const all = [...positive.map((cells) => ({ cells, against: false })), ...negative.map((cells) => ({ cells, against: true }))];
  return all
    .map(({ cells, against }) => {
      const sum = cells.reduce((before, cell) => before + finite[cell]!, 0);
      const share = Math.abs(sum) / (against ? sums.against : sums.for);
      const level = against ? -below : above;
      return { number: 0, against, level, cells, sum, share, area: cells.length / finite.length };
    })
    .filter((place) => Math.abs(place.sum) >= SMALLEST * (sums.for + sums.against))
    .sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum))
    .slice(0, MOST)
    .map((place, i) => ({ ...place, number: i + 1 }));
}

function total(values: Float32Array, sign: 1 | -1): number {
  let sum = 0;
  for (const value of values) if (value * sign > 0) sum += value * sign;
  return sum;
}

function regions(field: Field, values: Float32Array, belongs: (value: number) => boolean): number[][] {
  const seen = new Uint8Array(values.length);
  const found: number[][] = [];
  for (let start = 0; start < values.length; start++) {
    if (seen[start] || !belongs(values[start]!)) continue;
    const region: number[] = [];
    const todo = [start];
    seen[start] = 1;
    while (todo.length) {
      const cell = todo.pop()!;
      region.push(cell);
      for (const next of neighbors(cell, field)) {
        if (!seen[next] && belongs(values[next]!)) {
          seen[next] = 1;
          todo.push(next);
        }
      }
    }
    found.push(region.sort((a, b) => a - b));
  }
  return found;
}

function neighbors(cell: number, { rows, columns }: Field): number[] {
  const [row, column] = [Math.floor(cell / columns), cell % columns];
  const around: number[] = [];
  if (column > 0) around.push(cell - 1);
  if (column < columns - 1) around.push(cell + 1);
  if (row > 0) around.push(cell - columns);
  if (row < rows - 1) around.push(cell + columns);
  return around;
}
