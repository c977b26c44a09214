// A place cut out of the photo, with its map.
import { useEffect, useRef } from "preact/hooks";
import { drawOverlay } from "../../draw/overlay";
import { usePixels } from "../../draw/pixels";
import type { ColorTables, Scale } from "../../draw/scale";
import { tables } from "../../state/store";
import { tileOf, type Field } from "../../wire/map";
import type { PhotoEntry } from "../../wire/types";

interface Props {
  field: Field;
  cells: readonly number[];
  photo: PhotoEntry;
  scale: Scale;
}

let last: { url: string; field: Field; scale: Scale; whole: OffscreenCanvas } | null = null;

/** The whole photo with its map, for all crops of one map. */
function drawnOnce(url: string, pixels: ImageData, field: Field, scale: Scale, colors: ColorTables): OffscreenCanvas {
  if (last?.url !== url || last.field !== field || last.scale !== scale) {
    const whole = new OffscreenCanvas(pixels.width, pixels.height);
    drawOverlay(whole.getContext("2d") as unknown as CanvasRenderingContext2D, pixels, field, scale, colors);
    last = { url, field, scale, whole };
  }
  return last.whole;
}

export function Crop({ field, cells, photo, scale }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pixels = usePixels(photo.url, 320);
  useEffect(() => {
    if (!pixels || !tables.value) return;
    const whole = drawnOnce(photo.url, pixels, field, scale, tables.value);
    const tiles = cells.map((cell) => tileOf(field, Math.floor(cell / field.columns), cell % field.columns));
    const [x0, y0, x1, y1] = [0, 1, 2, 3].map((side) => (side < 2 ? Math.min : Math.max)(...tiles.map((tile) => tile[side]!))) as [number, number, number, number];
    const side = Math.min(Math.max((x1 - x0) * pixels.width, (y1 - y0) * pixels.height) * 1.1, pixels.width, pixels.height);
    const left = Math.min(Math.max(((x0 + x1) / 2) * pixels.width - side / 2, 0), pixels.width - side);
    const top = Math.min(Math.max(((y0 + y1) / 2) * pixels.height - side / 2, 0), pixels.height - side);
    canvas.current!.getContext("2d")!.drawImage(whole, left, top, side, side, 0, 0, 104, 104);
  }, [pixels, field, scale.sign, scale.limit, scale.from, cells]);
  return <canvas class="crop" ref={canvas} width={104} height={104} aria-hidden="true" />;
}
