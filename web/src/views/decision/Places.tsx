// Where the evidence lies: each place with its crop, its share of the area, and what the map gives it.
import type { Place } from "../../draw/places";
import type { Scale } from "../../draw/scale";
import { Waiting } from "../../controls/Waiting";
import type { Asked } from "../../state/answers";
import { hover, isHovered, methodName } from "../../state/store";
import type { Hidden } from "../../wire/altered";
import type { Field } from "../../wire/map";
import type { PhotoEntry } from "../../wire/types";
import { percent, points } from "../../words/numbers";
import { inPoints } from "../../words/units";
import { fill, fillName } from "./brush/state";
import { Crop } from "./Crop";
import { EvidenceBars } from "./EvidenceBars";
import { DRAWS } from "./hidden";
import { measurements } from "./measurement";

interface Props {
  field: Field;
  places: readonly Place[];
  photo: PhotoEntry;
  scale: Scale;
  /** What hiding them does; null in a report that did not record it. */
  hidden: Asked<Hidden>;
  /** "the lead" */
  noun: string;
}

export function Places({ field, places, photo, scale, hidden, noun }: Props) {
  const measured = measurements(hidden.answer);
  const rest = restOf(field, places);
  const inScore = inPoints(methodName.value);
  const claims = [...places.map((place) => place.sum), ...rest];
  const costs = measured.flatMap(({ cost, median, worst }) => [cost ?? 0, median ?? 0, worst ?? 0]);
  const [claimed, costing] = inScore ? [range([...claims, ...costs]), range([...claims, ...costs])] : alike(claims, costs);
  const most = Math.max(costing[1], -costing[0]);
  const asked = measured.length > 0 || hidden.waiting;
  return (
    <section class="places">
      <table>
        <caption>
          <b>Where the evidence lies</b>{" "}
          <span class="quiet">{inScore ? `in points of ${noun}` : asked ? `map in its own units, hidden in points of ${noun}` : "sums of the map"}</span>
        </caption>
        <thead>
          <tr>
            <td />
            <td />
            <td />
            <td />
            <th scope="col" class="for">map</th>
            {asked && (
              <>
                <th scope="col" class="ink" title={`What ${noun} loses with the place filled with ${fillName(fill.value)}`}>hidden</th>
                <th scope="col" title={`The same shape hidden at ${DRAWS} other places: the middle value; the line in the drawing ends at the largest`}>elsewhere</th>
              </>
            )}
          </tr>
        </thead>
        <tbody>
          {places.map((place, i) => (
            <tr class={isHovered("place", place.number) ? "same" : ""} {...hover("place", place.number)}>
              <td>
                <span class="badge">{place.number}</span>
              </td>
              <td>
                <Crop field={field} cells={place.cells} photo={photo} scale={scale} />
              </td>
              <th scope="row">
                <span class={place.against ? "against" : "for"}>{place.against ? "against" : "for"}</span>
                <span class="quiet">{percent(place.area)} of area</span>
              </th>
              <EvidenceBars claims={[place.sum]} measured={measured[i] ?? null} claimed={claimed} costs={costing} />
              <td class={`number ${place.against ? "against" : "for"}`}>{points(place.sum, true)}</td>
              {asked && (
                <>
                  <td class="number strong">{told(measured[i]?.cost, most)}</td>
                  <td class="number quiet">{told(measured[i]?.median, most)}</td>
                </>
              )}
            </tr>
          ))}
          <tr class="rest">
            <td />
            <td />
            <th scope="row" class="quiet">
              the rest
            </th>
            <EvidenceBars claims={rest} claimed={claimed} costs={costing} />
            <td class="number quiet">{points(rest[0]! + rest[1]!, true)}</td>
            {asked && (
              <>
                <td class="number quiet">–</td>
                <td class="number quiet">–</td>
              </>
            )}
          </tr>
        </tbody>
      </table>
      <Waiting asked={hidden} what={`Hiding each place, and its shape at ${DRAWS} others`} />
    </section>
  );
}

/** Less than a hundredth of what is drawn is nothing. */
function told(value: number | null | undefined, most: number): string {
  return value == null ? "–" : points(Math.abs(value) < 0.01 * most ? 0 : value, true);
}

/** What is in no place: for, and against. */
function restOf(field: Field, places: readonly Place[]): [number, number] {
  const taken = new Set(places.flatMap((place) => place.cells));
  const sums: [number, number] = [0, 0];
  field.values.forEach((value, cell) => {
    if (!taken.has(cell) && Number.isFinite(value)) sums[value < 0 ? 1 : 0] += value;
  });
  return sums;
}

function range(values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  return high > low ? [low, high] : [0, 1];
}

/** Two ranges with zero at one place. */
function alike(a: readonly number[], b: readonly number[]): [[number, number], [number, number]] {
  const [one, other] = [range(a), range(b)];
  const below = Math.max(-one[0] / (one[1] - one[0]), -other[0] / (other[1] - other[0]));
  const wide = ([low, high]: [number, number]): [number, number] => {
    const size = Math.max(below ? -low / below : 0, below < 1 ? high / (1 - below) : 0) || 1;
    return [-below * size, (1 - below) * size];
  };
  return [wide(one), wide(other)];
}
