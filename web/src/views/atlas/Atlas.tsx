// The decisions of a data set, each a point by its reasons.
import { useMemo, useState } from "preact/hooks";
import { NoteList } from "../../controls/NoteList";
import { Waiting } from "../../controls/Waiting";
import { useAnswer } from "../../state/answers";
import { address, go } from "../../state/address";
import { library } from "../../state/store";
import type { AtlasAnswer } from "../../wire/types";
import { choiceOf, pointsOf, statesOf } from "./choice";
import { useAtlasCode } from "./code";
import { coloringOf } from "./colors";
import { dataOf, type AtlasData } from "./data";
import { useDark } from "./dark";
import { Filters } from "./Filters";
import { Gallery } from "./Gallery";
import { Groups } from "./Groups";
import { Legend } from "./Legend";
import { Points } from "./Points";
import { Preview } from "./Preview";
import { RowPanel } from "./RowPanel";
import { Selection } from "./Selection";

export function Atlas() {
  const asked = useAnswer<AtlasAnswer>("atlas", { run: library.value!.atlas });
  return (
    <div class="atlas">
      <div class="question">
        <h1>Which decisions {asked.answer?.by === "maps" ? "have evidence in the same places" : "share a reason"}?</h1>
        {asked.answer && <p class="quiet">{asked.answer.title}</p>}
      </div>
      <Waiting asked={asked} what={asked.progress?.what} />
      {asked.answer && !asked.waiting && <Whole data={dataOf(asked.answer)} />}
    </div>
  );
}

function Whole({ data }: { data: AtlasData }) {
  const at = address.value;
  const fields = [at.is, at.labeled, at.outcome, at.range, at.reason, at.inside];
  const choice = useMemo(() => choiceOf(at), fields);
  const states = useMemo(() => statesOf(data, choice), [data, choice]);
  const points = useMemo(() => pointsOf(states), [states]);
  const dark = useDark();
  const by = String(at.color ?? (data.answer.groups.some((group) => group.flagged) ? "group" : data.texts.has("predicted") ? "predicted" : "score"));
  const coloring = useMemo(() => coloringOf(data, by, dark), [data, by, dark]);
  const [over, setOver] = useState<number | null>(null);
  const [hovers, setHovers] = useState(false);
  const row = /^\d{1,9}$/.test(String(at.row ?? "")) ? Number(at.row) : null;
  useAtlasCode(data, choice, points);
  const pointOf = (one: number | null) => (one === null ? -1 : data.rows.indexOf(one));
  const open = pointOf(row);
  return (
    <>
      <Filters data={data} choice={choice} color={by} />
      <div class="evidence">
        <div class="placed">
        <Points
          data={data}
          states={states}
          choice={choice}
          coloring={coloring}
          open={open < 0 ? null : open}
          over={over}
          onOver={(point) => {
            setOver(point);
            setHovers(true);
          }}
          onChoose={(point) => go({ row: String(data.rows[point]) })}
          onArea={(inside) => go({ inside, row: undefined })}
        >
          {over !== null && hovers && <Preview data={data} point={over} />}
        </Points>
        <Legend coloring={coloring} by={by} choice={choice} />
        </div>
        <Groups data={data} choice={choice} />
        <NoteList notes={[placing(data), ...data.answer.notes]} />
      </div>
      <div class="answers">
        {row !== null && <RowPanel data={data} row={row} />}
        {choice.outcome === "failed" ? (
          <Failed data={data} />
        ) : (
          <Selection
            data={data}
            choice={choice}
            points={points}
            onOver={(one) => {
              setOver(one === null ? null : pointOf(one) < 0 ? null : pointOf(one));
              setHovers(false);
            }}
          />
        )}
      </div>
    </>
  );
}

function placing({ answer }: AtlasData): string {
  if (answer.groups.length) return `Points lie near each other where the channels of ${answer.contributing} contribute alike and evidence lies in the same places (foveal.reasons). Distances between far points say little.`;
  const maps = answer.view === "parts" ? `maps of ${answer.layer} lie` : `maps at ${answer.layer} have evidence`;
  const what = answer.by === "maps" ? `${maps} in the same places` : "channels contribute alike";
  return `Points lie near each other where their ${what}: the first two principal components. Decisions that differ otherwise may lie on one another.`;
}

function Failed({ data }: { data: AtlasData }) {
  const { failed, failures, method } = data.answer;
  const row = address.value.row === undefined ? null : Number(address.value.row);
  return (
    <section class="selection" aria-label="Selection">
      <p class="answer">
        <b>{failures === 1 ? "One image was not explained." : `${failures.toLocaleString("en")} images were not explained.`}</b> {failed.length < failures && `The first ${failed.length} are shown.`}
      </p>
      <Gallery run={data.answer.run} rows={failed} method={method} label="Images that failed" open={row} onOpen={(one) => go({ row: String(one) })} />
    </section>
  );
}
