// The curves of a decision, asked one after the other when the map and its places are there.
import { useAnswer, type Asked } from "../../state/answers";
import { transport } from "../../state/store";
import type { Deletion, Depth } from "../../wire/altered";
import type { Decision } from "../../wire/types";
import { fill } from "./brush/state";

const STEPS = 24;

interface Curves {
  depth: Asked<Depth>;
  deletion: Asked<Deletion> & { asked: boolean };
}

/** `how` the decision was asked, whose map says what is hidden first. */
export function useCurves(on: { photo: string; model: string; target: string } | null, how: object, answer: Decision | null, layer: number): Curves {
  const there = (name: string, query: object | null) => (query && transport.value.has(name, query) ? query : null);
  const depth = useAnswer<Depth>("depth", there("depth", answer && on));
  const at = answer?.layers[layer];
  const query = on && at ? { ...how, at, steps: STEPS, fill: fill.value } : null;
  const curve = there("deletion", query);
  const deletion = useAnswer<Deletion>("deletion", depth.waiting ? null : curve);
  return { depth, deletion: { ...deletion, asked: Boolean(curve) } };
}
