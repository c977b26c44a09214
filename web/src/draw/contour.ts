// The line around a place: where the map, interpolated between its positions, crosses the place's level.
import type { Field } from "../wire/map";
import { valueAt } from "../wire/map";
import type { Place } from "./places";

const FINER = 4; // samples a position, each way

type Point = readonly [number, number];

export interface Outline {
  /** An SVG path in fractions of the photo. */
  path: string;
  /** Its point furthest to the upper right, where its number stands. */
  corner: Point;
}

export function outlineOf(field: Field, place: Place): Outline {
  const inside = new Set(place.cells);
  const rows = place.cells.map((cell) => Math.floor(cell / field.columns));
  const columns = place.cells.map((cell) => cell % field.columns);
  const [top, bottom] = [Math.min(...rows) - 1, Math.max(...rows) + 1];
  const [left, right] = [Math.min(...columns) - 1, Math.max(...columns) + 1];
  const [width, height] = [(right - left) * FINER + 1, (bottom - top) * FINER + 1];
  const sign = place.against ? -1 : 1;

  /** How far a sample is above the level; below it wherever another place is nearer. */
  const heightAt = (x: number, y: number): number => {
    const [column, row] = [left + x / FINER, top + y / FINER];
    const near = (a: number, b: number) => inside.has(a * field.columns + b) && b >= 0 && b < field.columns;
    const mine = [Math.floor(row), Math.ceil(row)].some((a) => [Math.floor(column), Math.ceil(column)].some((b) => near(a, b)));
    const value = mine ? valueAt(field, ...onPhoto(field, column, row)) : NaN;
    return Number.isFinite(value) && value !== 0 ? sign * (value - place.level) : -Math.abs(place.level);
  };
  const heights = Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => heightAt(x, y)));
  const lines = loops(heights).map((loop) => loop.map(([x, y]) => onPhoto(field, left + x / FINER, top + y / FINER)));
  const corner = lines.flat().reduce((best, point) => (point[0] - point[1] > best[0] - best[1] ? point : best), [0, 1]);
  return { path: lines.map((line) => `M${line.map((point) => point.map((v) => v.toFixed(4)).join(" ")).join("L")}Z`).join(""), corner };
}

function onPhoto({ grid }: Field, column: number, row: number): [number, number] {
  return [grid.offset[0]! + column * grid.step[0]!, grid.offset[1]! + row * grid.step[1]!];
}

/** Closed lines where a grid of heights crosses zero (marching squares; beyond the grid it is below). */
function loops(heights: number[][]): Point[][] {
  const at = (x: number, y: number) => heights[y]?.[x] ?? -1e-9;
  const crossing = (x0: number, y0: number, x1: number, y1: number): Point => {
    const [a, b] = [at(x0, y0), at(x1, y1)];
    const t = a / (a - b);
    return [x0 + t * (x1 - x0), y0 + t * (y1 - y0)];
  };
  const next = new Map<string, { to: string; point: Point }>();
  const name = (x: number, y: number, down: boolean) => `${x},${y},${down ? 1 : 0}`;
  for (let y = -1; y < heights.length; y++)
    for (let x = -1; x < heights[0]!.length; x++) {
      // Edges of this square, clockwise, each with the corner before it; a line enters where it comes from above.
      const corners = [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)].map((value) => value > 0);
      const edges = [
        { key: name(x, y, false), point: () => crossing(x, y, x + 1, y) },
        { key: name(x + 1, y, true), point: () => crossing(x + 1, y, x + 1, y + 1) },
        { key: name(x, y + 1, false), point: () => crossing(x, y + 1, x + 1, y + 1) },
        { key: name(x, y, true), point: () => crossing(x, y, x, y + 1) },
      ];
      for (let k = 0; k < 4; k++) {
        if (!corners[k] || corners[(k + 1) % 4]) continue; // leaves the heights through edge k
        let back = k;
        do back = (back + 3) % 4;
        while (corners[back]);
        next.set(edges[k]!.key, { to: edges[back]!.key, point: edges[k]!.point() });
      }
    }
  const found: Point[][] = [];
  while (next.size) {
    const loop: Point[] = [];
    let key = next.keys().next().value;
    while (key !== undefined && next.has(key)) {
      const { to, point }: { to: string; point: Point } = next.get(key)!;
      next.delete(key);
      loop.push(point);
      key = to;
    }
    if (loop.length > 2) found.push(loop);
  }
  return found;
}
