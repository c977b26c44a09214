// What hiding each place does: the places at once, the same shapes elsewhere after them, as a job that ends with the view.
import { useAnswer, type Asked } from "../../state/answers";
import { transport } from "../../state/store";
import type { Place } from "../../draw/places";
import type { Hidden } from "../../wire/altered";
import type { Field } from "../../wire/map";
import { fill } from "./brush/state";
import { tilesOf } from "./brush/shape";

export const DRAWS = 24;

export function useHidden(on: { photo: string; model: string; target: string } | null, field: Field | null, places: readonly Place[]): Asked<Hidden> {
  const shapes = field && on ? places.map((place) => ({ tiles: tilesOf(field, place.cells), strokes: [] })) : [];
  const query = (draws: number) => {
    const asked = { ...on, shapes, fill: fill.value, draws };
    return shapes.length && transport.value.has("places", asked) ? asked : null;
  };
  const first = useAnswer<Hidden>("places", query(0));
  const ready = first.answer && !first.waiting;
  const both = useAnswer<Hidden>("places", ready ? query(DRAWS) : null);
  const current = both.answer && !both.waiting && ready ? both.answer : ready ? first.answer : null;
  return { ...both, answer: current, waiting: first.waiting || both.waiting, problem: first.problem ?? both.problem };
}
