// Which evidence is shown, and what value gets the last color: the rules of foveal.render.scale.
import { bytesOf, type Field } from "../wire/map";

export type Sign = "auto" | "signed" | "positive" | "negative";

export interface Scale {
  sign: Exclude<Sign, "auto">;
  /** The absolute value that gets the last color. */
  limit: number;
  /** Values between −from and from get no color. */
  from: number;
}

const NEGLIGIBLE = 0.1; // of the largest positive value: a smaller negative part is not worth a second color

export function chooseScale(fields: readonly Field[], sign: Sign = "auto", limit?: number, from = 0): Scale {
  let [low, high] = [0, 0];
  for (const field of fields)
    for (const value of field.values) {
      if (!Number.isFinite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
  const shown = sign === "auto" ? (-low > NEGLIGIBLE * high ? "signed" : "positive") : sign;
  const most = shown === "signed" ? Math.max(high, -low) : shown === "positive" ? high : -low;
  return { sign: shown, limit: limit || most || 1, from };
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
    if (scale.sign === "positive") return [this.sequential, 3 * Math.round(255 * full)];
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
