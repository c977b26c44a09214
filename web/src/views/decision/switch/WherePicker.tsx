// Where channels are switched off: everywhere, at a place of the map, or at the position that was clicked.
import type { Place } from "../../../draw/places";
import type { Field } from "../../../wire/map";
import { runsOf } from "../brush/shape";
import { place, where, type Run } from "./state";

interface Props {
  field: Field | null;
  places: readonly Place[];
}

export function WherePicker({ field, places }: Props) {
  const known = places.map((one) => ({ title: `at place ${one.number}`, runs: runsOf(one.cells, field?.columns ?? 1) }));
  const now = where.value;
  const choices = [{ title: "everywhere", runs: null as Run[] | null }, ...known];
  if (now && !known.some((one) => same(one.runs, now))) choices.push({ title: positionWords(now), runs: now });
  return (
    <label class="select">
      <span class="spoken">Where</span>
      <select
        value={String(choices.findIndex((one) => same(one.runs, now)))}
        onChange={(event) => place(choices[Number(event.currentTarget.value)]!.runs)}
      >
        {choices.map((one, i) => (
          <option value={String(i)}>{one.title}</option>
        ))}
      </select>
    </label>
  );
}

export function whereWords(runs: Run[] | null, field: Field | null, places: readonly Place[]): string {
  if (!runs) return "everywhere";
  const found = field && places.find((one) => same(runsOf(one.cells, field.columns), runs));
  return found ? `at place ${found.number}` : positionWords(runs);
}

function positionWords(runs: Run[]): string {
  const [row, first, last] = runs[0]!;
  if (runs.length === 1 && first === last) return `at row ${row + 1}, column ${first + 1}`;
  return `at ${runs.reduce((sum, [, a, b]) => sum + b - a + 1, 0)} positions`;
}

function same(a: Run[] | null, b: Run[] | null): boolean {
  return String(a) === String(b) && Boolean(a) === Boolean(b);
}
