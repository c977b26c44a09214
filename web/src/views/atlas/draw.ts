// Tens of thousands of points in a few milliseconds: discs are written as pixels, not painted one by one.
import type { Coloring, Rgb } from "./colors";
import type { AtlasData } from "./data";

/** Which part of the atlas is seen: scale, and the upper left corner. */
export interface Camera {
  k: number;
  x: number;
  y: number;
}

export const MARGIN = 14; // pixels around the atlas

/** Where a point lies, in pixels of a square of this side. */
export function placed(camera: Camera, side: number, x: number, y: number): [number, number] {
  const room = side - 2 * MARGIN;
  return [MARGIN + (x - camera.x) * camera.k * room, MARGIN + (y - camera.y) * camera.k * room];
}

/** The point of the atlas at a pixel. */
export function unplaced(camera: Camera, side: number, px: number, py: number): [number, number] {
  const room = side - 2 * MARGIN;
  return [camera.x + (px - MARGIN) / room / camera.k, camera.y + (py - MARGIN) / room / camera.k];
}

/** Radius of a point: small where there are many, growing as one looks closer. */
export function radiusOf(count: number, side: number, { k }: Camera): number {
  const usual = Math.min(Math.max((0.3 * side) / Math.sqrt(count), 1.3), 5);
  return Math.min(usual * Math.sqrt(k), 7);
}

const DIM = 0.16; // of the color of what a selection leaves out
const LEFT_OUT = 0.07; // of the ink of what a filter leaves out

interface Ground {
  paper: Rgb;
  ink: Rgb;
}

/** Draw all points, those that are selected last; `states` as of `statesOf`. */
export function drawPoints(
  context: CanvasRenderingContext2D, data: AtlasData, states: Uint8Array, coloring: Coloring, camera: Camera, ratio: number, { paper, ink }: Ground,
): void {
  const { width, height } = context.canvas;
  const side = width / ratio;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer).fill(packed(paper));
  const disc = discOf(radiusOf(data.count, side, camera) * ratio);
  const selects = states.includes(2);
  const full = coloring.colors;
  const dim = full.map((color) => mixed(paper, color, selects ? DIM : 1));
  const passes: [number, (i: number) => Rgb][] = [
    [0, () => mixed(paper, ink, LEFT_OUT)],
    [1, (i) => dim[coloring.codes[i]!]!],
    [2, (i) => full[coloring.codes[i]!]!],
  ];
  const room = (side - 2 * MARGIN) * camera.k * ratio;
  const [left, top] = [(MARGIN * ratio - camera.x * room), (MARGIN * ratio - camera.y * room)];
  for (const [state, colorOf] of passes)
    for (let i = 0; i < data.count; i++) {
      if (states[i] !== state) continue;
      const x = Math.round(left + data.x[i]! * room);
      const y = Math.round(top + data.y[i]! * room);
      if (x < -disc.reach || y < -disc.reach || x >= width + disc.reach || y >= height + disc.reach) continue;
      stamp(pixels, width, height, x, y, disc, colorOf(i));
    }
  context.putImageData(image, 0, 0);
}

interface Disc {
  reach: number;
  dx: Int8Array;
  dy: Int8Array;
  cover: Float32Array;
}

/** The pixels of a disc, and how much of each it covers. */
function discOf(radius: number): Disc {
  const reach = Math.ceil(radius);
  const cells: [number, number, number][] = [];
  for (let y = -reach; y <= reach; y++)
    for (let x = -reach; x <= reach; x++) {
      const cover = Math.min(Math.max(radius + 0.5 - Math.hypot(x, y), 0), 1);
      if (cover > 0.05) cells.push([x, y, cover]);
    }
  return { reach, dx: Int8Array.from(cells, (cell) => cell[0]), dy: Int8Array.from(cells, (cell) => cell[1]), cover: Float32Array.from(cells, (cell) => cell[2]) };
}

function stamp(pixels: Uint32Array, width: number, height: number, x: number, y: number, disc: Disc, [r, g, b]: Rgb): void {
  for (let k = 0; k < disc.cover.length; k++) {
    const [px, py] = [x + disc.dx[k]!, y + disc.dy[k]!];
    if (px < 0 || py < 0 || px >= width || py >= height) continue;
    const at = py * width + px;
    const share = disc.cover[k]!;
    const under = pixels[at]!;
    const over = (channel: number, value: number) => value * share + ((under >>> channel) & 255) * (1 - share);
    pixels[at] = (255 << 24) | (over(16, b) << 16) | (over(8, g) << 8) | over(0, r);
  }
}

function packed([r, g, b]: Rgb): number {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

function mixed(paper: Rgb, color: Rgb, share: number): Rgb {
  return [0, 1, 2].map((c) => Math.round(paper[c]! * (1 - share) + color[c]! * share)) as unknown as Rgb;
}

/** The point nearest to a pixel, of those a filter leaves; null where none is close. */
export function pointAt(data: AtlasData, states: Uint8Array, camera: Camera, side: number, px: number, py: number): number | null {
  const [x, y] = unplaced(camera, side, px, py);
  const reach = Math.max(radiusOf(data.count, side, camera) + 4, 8) / ((side - 2 * MARGIN) * camera.k);
  let [best, near] = [-1, reach * reach];
  for (let i = 0; i < data.count; i++) {
    if (states[i] === 0) continue;
    const distance = (data.x[i]! - x) ** 2 + (data.y[i]! - y) ** 2;
    if (distance > near) continue;
    [best, near] = [i, distance];
  }
  return best < 0 ? null : best;
}
