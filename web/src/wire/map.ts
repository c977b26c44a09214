// A map as it travels: float16 relative to its largest absolute value, and where its positions lie on the photo.
import type { Grid, WireMap } from "./types";

export interface Field {
  rows: number;
  columns: number;
  /** Row by row, raw and signed. */
  values: Float32Array;
  /** The largest absolute value. */
  scale: number;
  total: number;
  grid: Grid;
}

const fields = new WeakMap<WireMap, Field>();

/** The numbers of a map; decoded once. */
export function fieldOf(map: WireMap): Field {
  let field = fields.get(map);
  if (!field) {
    const bytes = bytesOf(map.values);
    const relative = bytes.length === map.rows * map.columns ? inSteps(bytes) : halves(bytes);
    const values = Float32Array.from(relative, (value) => value * map.scale);
    field = { rows: map.rows, columns: map.columns, values, scale: map.scale, total: map.total, grid: map.grid };
    fields.set(map, field);
  }
  return field;
}

export function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function halves(bytes: Uint8Array): Float32Array {
  return Float32Array.from(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2), fromHalf);
}

/** Large maps of a report: from −127 to 127; −128 is not a number. */
function inSteps(bytes: Uint8Array): Float32Array {
  return Float32Array.from(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length), (step) => (step === -128 ? NaN : step / 127));
}

function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

/** The value at a point of the photo (fractions of its size); NaN where the network did not look, 0 where no tile lies. */
export function valueAt(field: Field, x: number, y: number): number {
  const [x0, y0, x1, y1] = field.grid.seen as [number, number, number, number];
  if (x < x0 || x > x1 || y < y0 || y > y1) return NaN;
  const column = (x - field.grid.offset[0]!) / field.grid.step[0]!;
  const row = (y - field.grid.offset[1]!) / field.grid.step[1]!;
  if (column < -0.5 || row < -0.5 || column > field.columns - 0.5 || row > field.rows - 0.5) return 0;
  return between(field, column, row);
}

/** Bilinear between the middles of positions; beyond the outermost the edge value continues. */
function between(field: Field, column: number, row: number): number {
  const c = Math.min(Math.max(column, 0), field.columns - 1);
  const r = Math.min(Math.max(row, 0), field.rows - 1);
  const left = Math.floor(c);
  const top = Math.floor(r);
  const right = Math.min(left + 1, field.columns - 1);
  const bottom = Math.min(top + 1, field.rows - 1);
  const v = field.values;
  const at = (y: number) => {
    const a = v[y * field.columns + left]!;
    return a + (c - left) * (v[y * field.columns + right]! - a);
  };
  const upper = at(top);
  return upper + (r - top) * (at(bottom) - upper);
}

/** `valueAt` at the middles of all pixels of a drawing: a row of values for each y. */
export function rowsOf(field: Field, width: number, height: number): (y: number) => Float32Array {
  const [x0, y0, x1, y1] = field.grid.seen as [number, number, number, number];
  const { columns, rows, values } = field;
  const line = new Float32Array(width);
  const left = new Int32Array(width);
  const part = new Float32Array(width);
  for (let x = 0; x < width; x++) {
    const at = (x + 0.5) / width;
    const column = (at - field.grid.offset[0]!) / field.grid.step[0]!;
    const inside = Math.min(Math.max(column, 0), columns - 1);
    left[x] = at < x0 || at > x1 ? -1 : column < -0.5 || column > columns - 0.5 ? -2 : Math.floor(inside);
    part[x] = inside - Math.floor(inside);
  }
  return (y) => {
    const at = (y + 0.5) / height;
    if (at < y0 || at > y1) return line.fill(NaN);
    const row = (at - field.grid.offset[1]!) / field.grid.step[1]!;
    const beyond = row < -0.5 || row > rows - 0.5;
    const inside = Math.min(Math.max(row, 0), rows - 1);
    const upper = Math.floor(inside) * columns;
    const lower = Math.min(Math.floor(inside) + 1, rows - 1) * columns;
    const down = inside - Math.floor(inside);
    for (let x = 0; x < width; x++) {
      const l = left[x]!;
      if (l < 0 || beyond) {
        line[x] = l === -1 ? NaN : 0;
        continue;
      }
      const r = l + 1 < columns ? l + 1 : l;
      const t = part[x]!;
      const above = values[upper + l]! + t * (values[upper + r]! - values[upper + l]!);
      const below = values[lower + l]! + t * (values[lower + r]! - values[lower + l]!);
      line[x] = above + down * (below - above);
    }
    return line;
  };
}

/** The position (row, column) whose tile holds a point of the photo; null where there is none. */
export function positionAt(field: Field, x: number, y: number): [number, number] | null {
  const column = Math.round((x - field.grid.offset[0]!) / field.grid.step[0]!);
  const row = Math.round((y - field.grid.offset[1]!) / field.grid.step[1]!);
  const inside = row >= 0 && column >= 0 && row < field.rows && column < field.columns;
  return inside ? [row, column] : null;
}

/** The tile of a position on the photo: x0, y0, x1, y1 in fractions of its size. */
export function tileOf(field: Field, row: number, column: number): [number, number, number, number] {
  const [dx, dy] = [Math.abs(field.grid.step[0]!), Math.abs(field.grid.step[1]!)];
  const x = field.grid.offset[0]! + column * field.grid.step[0]!;
  const y = field.grid.offset[1]! + row * field.grid.step[1]!;
  return [x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2];
}

/** The same map as it lies on a part of the photo, a box in fractions of it. */
export function within(field: Field, [x0, y0, x1, y1]: readonly number[]): Field {
  const [width, height] = [x1! - x0!, y1! - y0!];
  const { offset, step, seen, turned } = field.grid;
  const grid = {
    offset: [(offset[0]! - x0!) / width, (offset[1]! - y0!) / height],
    step: [step[0]! / width, step[1]! / height],
    seen: [(seen[0]! - x0!) / width, (seen[1]! - y0!) / height, (seen[2]! - x0!) / width, (seen[3]! - y0!) / height],
    turned,
  };
  return { ...field, grid };
}

const turnedAround = new WeakMap<Field, Field>();

/** The same map with the other sign. */
export function opposite(field: Field): Field {
  let other = turnedAround.get(field);
  if (!other) {
    other = { ...field, values: field.values.map((value) => -value), total: -field.total };
    turnedAround.set(field, other);
  }
  return other;
}
