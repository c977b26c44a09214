// Which evidence is shown, and what value gets the last color: the rules of foveal.render.scale.
import { bytesOf, type Field } from "../wire/map";

export type Sign = "auto" | "signed" | "positive" | "negative";

export interface Scale {
  sign: Exclude<Sign, "auto">;
  /** The absolute value that gets the last color. */
  limit: number;
  /** Values between −from and from get no color. */
  from: number;
  /** Orange and blue for evidence for and against; dark to bright for what has no sign, such as activations. */
  colors: "diverging" | "sequential";
}

export interface ScaleOptions {
  sign?: Sign | undefined;
  limit?: number | undefined;
  from?: number | undefined;
  colors?: Scale["colors"] | undefined;
}

const FINE = 900; // positions: in finer maps a few outshine all others, so the last color is what 98 % do not exceed
const ROBUST = 0.98;
const NEGLIGIBLE = 0.1; // of the largest positive value: a smaller negative part is not worth a second color

/** The scale that shows all of these maps: both signs if both matter; up to the largest value, of fine maps the usual. */
export function chooseScale(fields: readonly Field[], { sign = "auto", limit, from = 0, colors = "diverging" }: ScaleOptions = {}): Scale {
  let [low, high] = [0, 0];
  for (const field of fields)
    for (const value of field.values) {
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  const shown = sign === "auto" ? (-low > NEGLIGIBLE * high ? "signed" : "positive") : sign;
  const most = shown === "signed" ? Math.max(high, -low) : shown === "positive" ? high : -low;
  return { sign: shown, limit: limit || usual(fields, shown) || most || 1, from, colors };
}

/** The size that 98 % of the shown values of fine maps do not exceed; 0 for coarse maps. */
function usual(fields: readonly Field[], sign: Scale["sign"]): number {
  if (fields.every((field) => field.values.length <= FINE)) return 0;
  const size = (value: number) => (sign === "signed" ? Math.abs(value) : sign === "positive" ? value : -value);
  const sizes = fields.flatMap((field) => Array.from(field.values, size)).filter((value) => value > 0);
  return sizes.sort((a, b) => a - b)[Math.floor(ROBUST * (sizes.length - 1))] ?? 0;
}

/** The largest value that is shown. */
export function largest(fields: readonly Field[], sign: Scale["sign"]): number {
  let most = 0;
  for (const field of fields)
    for (const value of field.values) {
      const size = sign === "signed" ? Math.abs(value) : sign === "positive" ? value : -value;
      if (size > most) most = size;
    }
  return most || 1;
}

/** 0 for none, 1 at the limit. */
export function strength(scale: Scale, value: number): number {
  const size = scale.sign === "signed" ? Math.abs(value) : scale.sign === "positive" ? value : -value;
  return size < scale.from ? 0 : Math.min(Math.max(size / scale.limit, 0), 1);
}

export class ColorTables {
  readonly diverging: Uint8Array;
  readonly sequential: Uint8Array;

  constructor(tables: { diverging: string; sequential: string }) {
    this.diverging = bytesOf(tables.diverging);
    this.sequential = bytesOf(tables.sequential);
  }

  /** Where in which table a value's color starts. */
  entry(scale: Scale, value: number): [Uint8Array, number] {
    const full = strength(scale, value);
    if (scale.colors === "sequential") return [this.sequential, 3 * Math.round(255 * full)];
    const side = scale.sign === "negative" || value < 0 ? -1 : 1;
    return [this.diverging, 3 * Math.round(127.5 + 127.5 * side * full)];
  }

  /** A CSS gradient from the bottom of the legend to its top. */
  gradient(scale: Scale, towards: "to top" | "to right"): string {
    const stops = Array.from({ length: 17 }, (_, i) => {
      const unit = i / 16;
      const value = scale.sign === "signed" ? 2 * unit - 1 : scale.sign === "positive" ? unit : -unit;
      const [table, at] = this.entry({ ...scale, limit: 1, from: 0 }, value);
      return `rgb(${table[at]} ${table[at + 1]} ${table[at + 2]})`;
    });
    return `linear-gradient(${towards}, ${stops.join(", ")})`;
  }
}
