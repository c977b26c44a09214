// Whether two maps, of any resolution, have their strongest evidence at the same place.
import { tileOf, valueAt, type Field } from "../wire/map";
import { placesOf } from "./places";

const SAMPLES = 6; // a side, in each position of the coarser grid

/** The largest place for it, as positions of the map; none where nothing speaks for it. */
export function firstPlace(field: Field): readonly number[] {
  return placesOf(field).find((place) => !place.against)?.cells ?? [];
}

/** A map on the grid of another: the mean over each of its positions. */
export function onGridOf(field: Field, grid: Field): Float64Array {
  return Float64Array.from({ length: grid.rows * grid.columns }, (_, i) => {
    const [x0, y0, x1, y1] = tileOf(grid, Math.floor(i / grid.columns), i % grid.columns);
    let sum = 0;
    for (let k = 0; k < SAMPLES * SAMPLES; k++) {
      const x = x0 + ((x1 - x0) * ((k % SAMPLES) + 0.5)) / SAMPLES;
      const y = y0 + ((y1 - y0) * (Math.floor(k / SAMPLES) + 0.5)) / SAMPLES;
      const value = valueAt(field, x, y);
      sum += Number.isFinite(value) ? value : 0;
    }
    return sum / (SAMPLES * SAMPLES);
  });
}

export type Agreement = "same" | "elsewhere" | "against" | "nothing";

/** What a map says of a place of another map. */
export function agreement(field: Field, reference: Field, place: readonly number[]): Agreement {
  const values = onGridOf(field, reference);
  if (place.reduce((sum, cell) => sum + values[cell]!, 0) < 0) return "against";
  let peak = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[peak]!) peak = i;
  if (!(values[peak]! > 0)) return "nothing";
  return place.includes(peak) ? "same" : "elsewhere";
}
