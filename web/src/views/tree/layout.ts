// Where nodes and ribbons of the columns lie, in pixels.
import type { Level, Shown } from "./levels";

export const ROW = 82;
export const CROP = 60;
export const HEAD = 48; // above the nodes: what the column is
export const FIRST = { photo: 168, column: 220 };
export const COLUMN = 254;
const NODE = 212; // of a node, with the frame around it
const GAP = 24; // before what is of the other sign
const LINE = 24;

export interface Placed {
  /** From the left and top of all columns. */
  x: number;
  /** Of each node. */
  tops: number[];
  /** Below the last node. */
  end: number;
}

export interface Ribbon {
  one: Shown;
  path: string;
}

export function placed(levels: readonly Level[]): { columns: Placed[]; photo: number; height: number } {
  const columns: Placed[] = [];
  let photo = HEAD;
  levels.forEach((level, depth) => {
    const offsets: number[] = [];
    let y = 0;
    level.shown.forEach((one, i) => {
      if (i && one.against !== level.shown[i - 1]!.against) y += GAP;
      offsets.push(y);
      y += ROW;
    });
    const before = columns[depth - 1];
    const parent = before ? levels[depth - 1]!.shown.findIndex((one) => one.node.id === level.parent?.node.id) : -1;
    const middle = parent >= 0 ? before!.tops[parent]! + CROP / 2 : HEAD;
    const top = depth ? Math.max(HEAD, middle - y / 2) : HEAD;
    columns.push({ x: FIRST.column + depth * COLUMN, tops: offsets.map((offset) => top + offset), end: top + y });
    if (!depth) photo = HEAD + Math.max(0, Math.min((y - FIRST.photo) / 2, 120));
  });
  return { columns, photo, height: Math.max(photo + FIRST.photo + 60, ...columns.map((one) => one.end + 4 * LINE)) };
}

/** As wide as the share of the decision that flows along them. */
export function ribbons(levels: readonly Level[], columns: readonly Placed[], photo: { middle: number }): Ribbon[] {
  const first = levels[0]?.shown.map((one) => Math.abs(one.flow)) ?? [];
  const pixels = Math.min((CROP - 4) / Math.max(...first, 1e-9), (FIRST.photo - 12) / Math.max(sizes(first), 1e-9));
  return levels.flatMap((level, depth) => {
    const column = columns[depth]!;
    const parent = depth ? levels[depth - 1]!.shown.findIndex((one) => one.node.id === level.parent?.node.id) : -1;
    if (depth && parent < 0) return [];
    const [x0, middle] = depth ? [columns[depth - 1]!.x + NODE, columns[depth - 1]!.tops[parent]! + CROP / 2] : [FIRST.photo, photo.middle];
    const whole = sizes(level.shown.map((one) => one.flow)) * pixels;
    const shrunk = depth && whole > ROW ? ROW / whole : 1;
    let y = middle - (whole * shrunk) / 2;
    return level.shown.map((one, i): Ribbon => {
      const width = Math.max(Math.abs(one.flow) * pixels * shrunk, 1);
      const from = y + width / 2;
      y += Math.abs(one.flow) * pixels * shrunk;
      return { one, path: ribbon(x0, from, column.x, column.tops[i]! + CROP / 2, width) };
    });
  });
}

function ribbon(x0: number, y0: number, x1: number, y1: number, width: number): string {
  const [half, turn] = [width / 2, (x0 + x1) / 2];
  const n = (value: number) => value.toFixed(1);
  return (
    `M${x0} ${n(y0 - half)}C${turn} ${n(y0 - half)} ${turn} ${n(y1 - half)} ${x1} ${n(y1 - half)}` +
    `V${n(y1 + half)}C${turn} ${n(y1 + half)} ${turn} ${n(y0 + half)} ${x0} ${n(y0 + half)}Z`
  );
}

function sizes(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + Math.abs(value), 0);
}
