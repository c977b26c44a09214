// Places: connected regions of strong evidence, at most four, the largest sum first.
import type { Field } from "../wire/map";

export interface Place {
  /** 1 for the place with the most evidence for; in the order of |sum|. */
  number: number;
  against: boolean;
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
const AGAINST = 0.05; // of the largest value against

export function placesOf(field: Field): Place[] {
  const finite = field.values.map((value) => (Number.isFinite(value) ? value : 0));
  const high = Math.max(0, ...finite);
  const low = Math.max(0, ...finite.map((value) => -value));
  const positive = regions(field, finite, (value) => high > 0 && value > FOR * high);
  const negative = low > 0.05 * high ? regions(field, finite, (value) => -value > Math.max(AGAINST * high, 0.3 * low)) : [];
  const sums = { for: total(finite, 1), against: total(finite, -1) };
  const all = [...positive.map((cells) => ({ cells, against: false })), ...negative.map((cells) => ({ cells, against: true }))];
  return all
    .map(({ cells, against }) => {
      const sum = cells.reduce((before, cell) => before + finite[cell]!, 0);
      const share = Math.abs(sum) / (against ? sums.against : sums.for);
      return { number: 0, against, cells, sum, share, area: cells.length / finite.length };
    })
    .filter((place) => place.share >= 0.04)
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

/** The outline of positions as an SVG path in fractions of the photo: the sides that no neighbor shares, rounded. */
export function outlineOf(field: Field, cells: readonly number[]): string {
  const inside = new Set(cells);
  const next = new Map<string, [number, number][]>();
  const has = (row: number, column: number) =>
    row >= 0 && column >= 0 && row < field.rows && column < field.columns && inside.has(row * field.columns + column);
  const side = (a: [number, number], b: [number, number]) => {
    const key = a.join();
    next.set(key, [...(next.get(key) ?? []), b]);
  };
  for (const cell of cells) {
    const [r, c] = [Math.floor(cell / field.columns), cell % field.columns];
    if (!has(r - 1, c)) side([c, r], [c + 1, r]);
    if (!has(r, c + 1)) side([c + 1, r], [c + 1, r + 1]);
    if (!has(r + 1, c)) side([c + 1, r + 1], [c, r + 1]);
    if (!has(r, c - 1)) side([c, r + 1], [c, r]);
  }
  const [ox, oy] = field.grid.offset as [number, number];
  const [dx, dy] = field.grid.step as [number, number];
  const point = ([c, r]: [number, number]) => [ox + (c - 0.5) * dx, oy + (r - 0.5) * dy] as const;
  const paths: string[] = [];
  while (next.size) {
    const start = [...next.keys()][0]!;
    const loop: [number, number][] = [];
    let key = start;
    do {
      const ways = next.get(key)!;
      const to = ways.pop()!;
      if (!ways.length) next.delete(key);
      loop.push(to);
      key = to.join();
    } while (key !== start && next.has(key));
    paths.push(smooth(loop.map(point)));
  }
  return paths.join(" ");
}

/** A closed curve through the middles of the sides of a polygon. */
function smooth(points: (readonly [number, number])[]): string {
  const middle = (i: number) => {
    const [a, b] = [points[i % points.length]!, points[(i + 1) % points.length]!];
    return `${((a[0] + b[0]) / 2).toFixed(4)} ${((a[1] + b[1]) / 2).toFixed(4)}`;
  };
  const curves = points.map((_, i) => {
    const corner = points[(i + 1) % points.length]!;
    return `Q ${corner[0].toFixed(4)} ${corner[1].toFixed(4)} ${middle(i + 1)}`;
  });
  return `M ${middle(0)} ${curves.join(" ")} Z`;
}
