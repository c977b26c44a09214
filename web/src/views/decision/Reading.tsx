// What is under the pointer, in words: a position, a place, a class.
import type { Place } from "../../draw/places";
import { hovered } from "../../state/store";
import type { Field } from "../../wire/map";
import type { Decision } from "../../wire/types";
import { percent, points, raw } from "../../words/numbers";

interface Props {
  answer: Decision | null;
  layer: number;
  field: Field | null;
  places: readonly Place[];
  position: readonly [number, number] | null;
}

export function Reading(props: Props) {
  return (
    <p class="read" aria-live="polite">
      {wordsFor(props) || "\u00a0"}
    </p>
  );
}

function wordsFor({ answer, layer, field, places, position }: Props): string {
  if (!answer || !field) return "";
  if (position) {
    const cell = position[0] * field.columns + position[1];
    const place = places.find((one) => one.cells.includes(cell));
    const where = `Row ${position[0] + 1}, column ${position[1] + 1} of ${answer.layers[layer]}`;
    return `${where}${place ? `, in place ${place.number}` : ""}: ${raw(field.values[cell]!, true)}`;
  }
  if (hovered.value?.kind !== "place") return "";
  const place = places.find((one) => String(one.number) === hovered.value!.id);
  if (!place) return "";
  const side = place.against ? "against" : "for";
  return `Place ${place.number}: ${points(place.sum, true)}, ${percent(place.share)} of the evidence ${side}, on ${percent(place.area)} of the map`;
}
