// A map finer than its layer, as the address has it: of a row of a run, or of a result that Python opened.
import { address, type Address } from "../../state/address";

export interface Finer {
  resolution: number;
  scales: number[];
  layer?: string;
}

/** Null where the map is the layer's own; `foveal.explain` has the words. */
export function finerOf({ finer, scales, layer }: Address = address.value): Finer | null {
  if (!finer && !scales) return null;
  const numbers = String(scales ?? 1).split(",").map(Number);
  return { resolution: Number(finer ?? 1), scales: numbers, ...(layer && { layer }) };
}

export const OWN = { finer: undefined, scales: undefined };

/** "2 times finer", "scales 1, 1.5". */
export function finerWords({ resolution, scales }: Finer): string {
  const parts = [resolution !== 1 && `${resolution} times finer`, String(scales) !== "1" && `scales ${scales.join(", ")}`];
  return parts.filter(Boolean).join(", ");
}
