// How few positions hold how much of the evidence for.
import type { Field } from "../wire/map";

export interface Area {
  /** The smallest value that still belongs to it. */
  from: number;
  /** The share of the map's positions. */
  share: number;
  /** What these positions hold of the evidence for; 0 where there is none. */
  holds: number;
}

function positive(field: Field): Float32Array {
  return field.values.filter((value) => value > 0).sort((a, b) => b - a);
}

/** The least area that holds a share of the evidence for: the strongest positions until it is reached. */
export function leastArea(field: Field, share: number): Area | null {
  const values = positive(field);
  const total = values.reduce((sum, value) => sum + value, 0);
  let [sum, count] = [0, 0];
  while (count < values.length && sum < share * total * (1 - 1e-6)) sum += values[count++]!;
  return count ? { from: values[count - 1]!, share: count / field.values.length, holds: sum / total } : null;
}

/** The positions from a value on; all with evidence for where that is 0. */
export function areaFrom(field: Field, from: number): Area {
  const values = positive(field);
  const total = values.reduce((sum, value) => sum + value, 0);
  const inside = values.filter((value) => value >= from * (1 - 1e-6));
  return { from, share: inside.length / field.values.length, holds: total ? inside.reduce((sum, value) => sum + value, 0) / total : 0 };
}
