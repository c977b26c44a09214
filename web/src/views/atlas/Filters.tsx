// What is left out: by class, by right or wrong, by any column of numbers.
import { address, go } from "../../state/address";
import { shortName } from "../../words/names";
import { raw } from "../../words/numbers";
import { EVERYTHING, setRanges, type Choice, type Range } from "./choice";
import { colorings, columnName } from "./colors";
import { countsOf, type AtlasData } from "./data";

export function Filters({ data, choice, color }: { data: AtlasData; choice: Choice; color: string }) {
  const narrowed = Object.keys(EVERYTHING).some((field) => address.value[field] !== undefined);
  const outcomes = [...(data.right ? ["right", "wrong"] : []), ...(data.answer.failures ? ["failed"] : [])];
  const unused = [...data.numbers.keys()].filter((column) => !choice.ranges.some((range) => range.column === column));
  return (
    <div class="filters">
      <Classes data={data} column="predicted" title="Predicted" value={choice.predicted} field="is" />
      <Classes data={data} column="label" title="Label" value={choice.label} field="labeled" />
      {outcomes.length > 0 && (
        <label>
          Outcome
          <select value={choice.outcome ?? ""} onChange={(event) => go({ outcome: event.currentTarget.value || undefined, row: undefined })}>
            <option value="">all</option>
            {outcomes.map((one) => (
              <option value={one}>{one === "failed" ? `failed (${data.answer.failures})` : one}</option>
            ))}
          </select>
        </label>
      )}
      {unused.length > 0 && (
        <label>
          Numbers
          <select value="" onChange={(event) => event.currentTarget.value && setRanges([...choice.ranges, { column: event.currentTarget.value, low: null, high: null }])}>
            <option value="">add a range …</option>
            {unused.map((column) => (
              <option value={column}>{columnName(column)}</option>
            ))}
          </select>
        </label>
      )}
      <label>
        Color
        <select value={color} onChange={(event) => go({ color: event.currentTarget.value })}>
          {colorings(data).map(({ value, title }) => (
            <option value={value}>{title}</option>
          ))}
        </select>
      </label>
      {narrowed && (
        <button type="button" onClick={() => go(EVERYTHING)}>
          Show everything
        </button>
      )}
      {choice.ranges.map((range) => (
        <RangeFields data={data} range={range} choice={choice} />
      ))}
    </div>
  );
}

interface ClassesProps {
  data: AtlasData;
  column: string;
  title: string;
  value: string | undefined;
  field: "is" | "labeled";
}

function Classes({ data, column, title, value, field }: ClassesProps) {
  const known = data.texts.get(column);
  if (!known) return null;
  return (
    <label>
      {title}
      <select value={value ?? ""} onChange={(event) => go({ [field]: event.currentTarget.value || undefined, inside: undefined, reason: undefined })}>
        <option value="">all classes</option>
        {countsOf(known, data.all).map(({ name, count }) => (
          <option value={name}>
            {shortName(name)} ({count.toLocaleString("en")})
          </option>
        ))}
      </select>
    </label>
  );
}

function RangeFields({ data, range, choice }: { data: AtlasData; range: Range; choice: Choice }) {
  const known = data.numbers.get(range.column)?.filter(Number.isFinite) ?? new Float32Array();
  const [low, high] = [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), -Infinity)];
  const change = (next: Range | null) => setRanges(choice.ranges.flatMap((one) => (one.column !== range.column ? [one] : next ? [next] : [])));
  const bound = (text: string) => (text.trim() === "" ? null : Number(text));
  const name = columnName(range.column);
  return (
    <fieldset class="range">
      <legend>{name}</legend>
      <input type="number" step="any" aria-label={`${name}, at least`} placeholder={raw(low)} value={range.low ?? ""} onChange={(event) => change({ ...range, low: bound(event.currentTarget.value) })} />
      to
      <input type="number" step="any" aria-label={`${name}, at most`} placeholder={raw(high)} value={range.high ?? ""} onChange={(event) => change({ ...range, high: bound(event.currentTarget.value) })} />
      <button type="button" class="plain" aria-label={`Remove the range of ${name}`} onClick={() => change(null)}>
        ×
      </button>
    </fieldset>
  );
}
