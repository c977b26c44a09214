// What is selected: in words, its mean map, its numbers, and its photos.
import { useMemo } from "preact/hooks";
import { NoteList } from "../../controls/NoteList";
import { Waiting } from "../../controls/Waiting";
import { useAnswer } from "../../state/answers";
import { address, go } from "../../state/address";
import type { MeanMap } from "../../wire/types";
import { shortName } from "../../words/names";
import { count, percent, raw } from "../../words/numbers";
import type { Choice } from "./choice";
import { columnName } from "./colors";
import { countsOf, meanOf, type AtlasData } from "./data";
import { Gallery } from "./Gallery";
import { cost } from "./Groups";
import { bitsOf, orderings, ordered } from "./order";
import { Thumb } from "./Thumb";

interface Props {
  data: AtlasData;
  choice: Choice;
  points: Int32Array;
  onOver: (row: number | null) => void;
}

export function Selection({ data, choice, points, onOver }: Props) {
  const order = String(address.value.order ?? "");
  const rows = useMemo(() => ordered(data, points, order).map((point) => data.rows[point]!), [data, points, order]);
  const bits = useMemo(() => bitsOf(points, data.count), [points, data]);
  const mean = useAnswer<MeanMap>("atlas_mean", points.length ? { run: data.answer.run, points: bits } : null);
  const open = address.value.row === undefined ? null : Number(address.value.row);
  const method = data.answer.method;
  return (
    <section class="selection" aria-label="Selection">
      <p class="answer">
        <Sentence data={data} choice={choice} points={points} />
      </p>
      {points.length > 0 && (
        <>
          <div class="beside">
            <figure>
              <Waiting asked={mean} what="Adding maps" />
              {mean.answer?.map && <Thumb url="" map={mean.answer.map} alt="Mean map of the selection" method={method} />}
              <figcaption class="quiet">mean map, {data.answer.layer}</figcaption>
            </figure>
            <Numbers data={data} points={points} />
          </div>
          <label class="order">
            Photos{" "}
            <select value={order} onChange={(event) => go({ order: event.currentTarget.value || undefined }, "same")}>
              {orderings(data).map(({ value, title }) => (
                <option value={value}>{title}</option>
              ))}
            </select>
          </label>
          <Gallery run={data.answer.run} rows={rows} method={method} label="Photos of the selection" open={open} onOpen={(row) => go({ row: String(row) })} onOver={onOver} />
          <NoteList notes={mean.answer?.notes ?? []} />
        </>
      )}
    </section>
  );
}

function Sentence({ data, choice, points }: { data: AtlasData; choice: Choice; points: Int32Array }) {
  const predicted = data.texts.get("predicted");
  const kinds = predicted ? countsOf(predicted, points) : [];
  const right = data.right && meanOf(Float32Array.from(data.right, (one) => (one < 0 ? NaN : one)), points);
  const group = choice.group === null ? undefined : data.answer.groups[choice.group];
  const selected = choice.area !== null || group !== undefined;
  if (!points.length) return <b>No decision fits.</b>;
  return (
    <>
      <b>
        {count(points.length, "decision")}
        {selected ? " selected" : points.length < data.count ? ` of ${data.count.toLocaleString("en")}` : ""}
      </b>
      {kinds.length === 1 ? `, all predicted ${shortName(kinds[0]!.name)}` : kinds.length > 1 ? `, predicted ${count(kinds.length, "class", "classes")}, most ${shortName(kinds[0]!.name)} (${kinds[0]!.count.toLocaleString("en")})` : ""}
      {right !== null && Number.isFinite(right) && `; ${percent(right)} as labeled`}.{" "}
      {group?.hiding && <>Points lost by hiding what they share: {cost(group.hiding)}. </>}
      {group?.appearance && <>With the colors and texture of others: {cost(group.appearance)}. </>}
      {group?.flagged && "Look whether what they share should decide."}
    </>
  );
}

function Numbers({ data, points }: { data: AtlasData; points: Int32Array }) {
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">mean</th>
          <th scope="col">here</th>
          <th scope="col">all</th>
        </tr>
      </thead>
      <tbody>
        {[...data.numbers].map(([name, values]) => (
          <tr>
            <th scope="row">{columnName(name)}</th>
            <td class="number">{shown(meanOf(values, points))}</td>
            <td class="number quiet">{shown(meanOf(values, data.all))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function shown(value: number): string {
  return Number.isFinite(value) ? raw(value) : "–";
}
