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
  const disc = discOf(radiusOf(data.count, side, camera) * ratio, width);
  const full = Uint32Array.from(coloring.colors, packed);
  const dim = states.includes(2) ? Uint32Array.from(coloring.colors, (color) => packed(mixed(paper, color, DIM))) : full;
  const leftOut = Uint32Array.from(coloring.colors, () => packed(mixed(paper, ink, LEFT_OUT)));
  const room = (side - 2 * MARGIN) * camera.k * ratio;
  const [left, top] = [MARGIN * ratio - camera.x * room, MARGIN * ratio - camera.y * room];
  const { x, y } = data;
  const { codes } = coloring;
  [leftOut, dim, full].forEach((colors, state) => {
    for (let i = 0; i < data.count; i++) {
      if (states[i] !== state) continue;
      const px = Math.round(left + x[i]! * room);
      const py = Math.round(top + y[i]! * room);
      if (px < disc.reach || py < disc.reach || px >= width - disc.reach || py >= height - disc.reach) continue; // in the margin
      stamp(pixels, py * width + px, disc, colors[codes[i]!]!);
    }
  });
  context.putImageData(image, 0, 0);
}

/** The pixels of a disc, by how far they are from its middle: those that it covers, and those at its edge. */
interface Disc {
  reach: number;
  inner: Int32Array;
  edge: Int32Array;
  /** How much of each pixel at the edge is covered, of 256. */
  cover: Int32Array;
}

function discOf(radius: number, width: number): Disc {
  const reach = Math.ceil(radius);
  const cells: { at: number; cover: number }[] = [];
  for (let y = -reach; y <= reach; y++)
    for (let x = -reach; x <= reach; x++) cells.push({ at: y * width + x, cover: Math.round(256 * Math.min(Math.max(radius + 0.5 - Math.hypot(x, y), 0), 1)) });
  const edge = cells.filter(({ cover }) => cover > 12 && cover < 256);
  return {
    reach,
    inner: Int32Array.from(cells.filter(({ cover }) => cover === 256), ({ at }) => at),
    edge: Int32Array.from(edge, ({ at }) => at),
    cover: Int32Array.from(edge, ({ cover }) => cover),
  };
}

function stamp(pixels: Uint32Array, middle: number, { inner, edge, cover }: Disc, color: number): void {
  for (let k = 0; k < inner.length; k++) pixels[middle + inner[k]!] = color;
  for (let k = 0; k < edge.length; k++) {
    const at = middle + edge[k]!;
    const share = cover[k]!;
    const under = pixels[at]!;
    // Red and blue at once, then green: whole numbers of 256.
    const redBlue = (((color & 0xff00ff) * share + (under & 0xff00ff) * (256 - share)) >>> 8) & 0xff00ff;
    const green = (((color & 0xff00) * share + (under & 0xff00) * (256 - share)) >>> 8) & 0xff00;
    pixels[at] = (0xff000000 | redBlue | green) >>> 0;
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
