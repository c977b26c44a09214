// What hiding a place costs, and what the same shape costs elsewhere.
import type { Hidden } from "../../wire/altered";
import { median } from "../../words/scores";

export interface Measurement {
  /** Score less the score with the place hidden; null where that is no number. */
  cost: number | null;
  /** The score with the place hidden. */
  score: number | null;
  /** Of the same at other places: the middle one, and the one furthest from zero; null until they are measured. */
  median: number | null;
  worst: number | null;
}

/** In the order of the places; empty until they were asked for. */
export function measurements(hidden: Hidden | null): Measurement[] {
  return (hidden?.places ?? []).map(({ score, elsewhere }) => {
    const costs = elsewhere.filter((value): value is number => value !== null).map((value) => hidden!.whole - value);
    return {
      score,
      cost: score === null ? null : hidden!.whole - score,
      median: costs.length ? median(costs) : null,
      worst: costs.length ? costs.reduce((worst, cost) => (Math.abs(cost) > Math.abs(worst) ? cost : worst)) : null,
    };
  });
}
