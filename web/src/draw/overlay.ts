// A map on its photo, so that both can be read: the mixture of foveal.render.overlay.
import { rowsOf, type Field } from "../wire/map";
import { strength, type ColorTables, type Scale } from "./scale";

const ALPHA = 0.65;

/** Draw a map over the photo's pixels into `context`, which has their size. */
export function drawOverlay(
  context: CanvasRenderingContext2D,
  photo: ImageData,
  field: Field,
  scale: Scale,
  tables: ColorTables,
): void {
  const { width, height, data } = photo;
  const mixed = context.createImageData(width, height);
  const out = mixed.data;
  const keep = scale.colors === "sequential" ? 0.35 : 0.2; // of the photo's own color
  const pitch = Math.max(6, Math.round(Math.min(width, height) / 40));
  const rowOf = rowsOf(field, width, height);
  const sequential = scale.colors === "sequential";
  const table = sequential ? tables.sequential : tables.diverging;
  const negative = scale.sign === "negative";
  for (let y = 0, at = 0; y < height; y++) {
    const values = rowOf(y);
    for (let x = 0; x < width; x++, at += 4) {
      const gray = 0.2126 * data[at]! + 0.7152 * data[at + 1]! + 0.0722 * data[at + 2]!;
      const value = values[x]!;
      out[at + 3] = 255;
      if (Number.isNaN(value)) {
        const hatch = (x + y) % pitch < Math.max(1, Math.floor(pitch / 6)) ? 20 : 0;
        for (let c = 0; c < 3; c++) out[at + c] = (0.25 * data[at + c]! + 0.75 * gray) * 0.45 + 20 + hatch;
        continue;
      }
      const full = strength(scale, value);
      const opacity = ALPHA * (sequential ? full ** 0.7 : full);
      const detail = 0.4 * (gray - 127.5) * opacity;
      const entry = 3 * Math.round(sequential ? 255 * full : 127.5 + (negative || value < 0 ? -127.5 : 127.5) * full);
      for (let c = 0; c < 3; c++) {
        const ground = (keep * data[at + c]! + (1 - keep) * gray) * 0.88;
        out[at + c] = ground * (1 - opacity) + table[entry + c]! * opacity + detail;
      }
    }
  }
  context.putImageData(mixed, 0, 0);
}
