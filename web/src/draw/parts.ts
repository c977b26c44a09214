// A map on the parts of a drawn scene: the rules of foveal.synthetic.agreement.
import { bytesOf, valueAt, type Field } from "../wire/map";
import type { SceneLabels } from "../wire/types";

const SMALLEST = 12; // pixels; of less, nothing can be said at the resolution of maps
const NO_PARTS = ["background", "occluder"];

const codes = new WeakMap<SceneLabels, Uint8Array>();
const laid = new WeakMap<Field, { labels: SceneLabels; values: Float64Array }>();

function codesOf(labels: SceneLabels): Uint8Array {
  const found = codes.get(labels) ?? bytesOf(labels.values);
  codes.set(labels, found);
  return found;
}

/** The map in the pixels of the scene; 0 where the network did not look. */
function onScene(field: Field, labels: SceneLabels): Float64Array {
  const found = laid.get(field);
  if (found?.labels === labels) return found.values;
  const { rows, columns } = labels;
  const values = Float64Array.from({ length: rows * columns }, (_, i) => {
    const value = valueAt(field, ((i % columns) + 0.5) / columns, (Math.floor(i / columns) + 0.5) / rows);
    return Number.isNaN(value) ? 0 : value;
  });
  laid.set(field, { labels, values });
  return values;
}

function sumsOf(field: Field, labels: SceneLabels) {
  const code = codesOf(labels);
  const parts = labels.names.map(() => ({ pixels: 0, positive: 0, sum: 0 }));
  onScene(field, labels).forEach((value, i) => {
    const part = parts[code[i]!]!;
    part.pixels++;
    part.sum += value;
    part.positive += Math.max(value, 0);
  });
  return parts;
}

/** The share of the positive evidence on a part, 0 to 1. */
export function shareOn(field: Field, labels: SceneLabels, part: string): number {
  const sums = sumsOf(field, labels);
  const whole = sums.reduce((sum, one) => sum + one.positive, 0);
  return whole > 0 ? sums[labels.names.indexOf(part)]!.positive / whole : 0;
}

/** The part with the strongest evidence for it, by the mean over its pixels; "" for a map without any. */
export function strongestPart(field: Field, labels: SceneLabels): string {
  const means = sumsOf(field, labels).map((one, i) =>
    one.pixels < SMALLEST || NO_PARTS.includes(labels.names[i]!) ? 0 : one.positive / one.pixels,
  );
  const most = Math.max(...means);
  return most > 0 ? labels.names[means.indexOf(most)]! : "";
}

/** Whether the map has more evidence against than for on a part. */
export function isAgainst(field: Field, labels: SceneLabels, part: string): boolean {
  return sumsOf(field, labels)[labels.names.indexOf(part)]!.sum < 0;
}
