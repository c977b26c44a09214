// One decision of the run: large, with its numbers, the way into the other views, and others decided alike.
import { useState } from "preact/hooks";
import { views } from "../../app/views";
import { Waiting } from "../../controls/Waiting";
import { useAnswer } from "../../state/answers";
import { go } from "../../state/address";
import type { AtlasRow, AtlasRows } from "../../wire/types";
import { shortName } from "../../words/names";
import { chance, points } from "../../words/numbers";
import type { AtlasData } from "./data";
import { openRow } from "./opening";
import { Others } from "./Others";
import { Thumb } from "./Thumb";
import { sentenceOf } from "../../state/transport";

const ELSEWHERE = ["decision", "tree", "parts", "match", "methods", "channel"];

export function RowPanel({ data, row }: { data: AtlasData; row: number }) {
  const asked = useAnswer<AtlasRows>("atlas_rows", { run: data.answer.run, rows: [row] });
  const one = asked.answer?.rows[0];
  return (
    <section class="rowpanel" aria-label="Decision">
      <Waiting asked={asked} />
      {one && (
        <>
          <div class="beside">
            {(one.thumb || one.map) && <Thumb url={one.thumb} map={one.map} alt={`${one.name} with its map`} method={data.answer.method} />}
            <div>
              <h2>{one.name}</h2>
              <Decided row={one} />
              {one.notes && <p class="hint">{one.notes}</p>}
              {one.problem && (
                <p class="problem" role="alert">
                  {one.problem}
                </p>
              )}
            </div>
            <button type="button" class="plain close" aria-label="Close this decision" onClick={() => go({ row: undefined }, "same")}>
              ×
            </button>
          </div>
          {one.map && <Elsewhere row={row} own={data.answer.view} />}
          {one.map && <Others query={{ run: data.answer.run, row }} ask="alike_row" onOpen={(next) => go({ row: String(next) })} />}
        </>
      )}
    </section>
  );
}

function Decided({ row }: { row: AtlasRow }) {
  const { match, predicted, label, score, probability } = row;
  const facts = [
    match !== null && (
      <>
        most like <b>{match}</b>
      </>
    ),
    predicted !== null && (
      <>
        {match === null ? "predicted" : "of"} <b>{shortName(predicted)}</b>
      </>
    ),
    label !== null && label !== predicted && (
      <>
        labeled <b>{shortName(label)}</b>
      </>
    ),
    score !== null && `score ${points(score)}`,
    probability !== null && `probability ${chance(probability)}`,
  ].filter(Boolean);
  return facts.length ? <p>{facts.flatMap((fact, i) => (i ? [", ", fact] : [fact]))}.</p> : null;
}

/** The view of the run's verb is the first. */
function Elsewhere({ row, own }: { row: number; own: string }) {
  const [problem, setProblem] = useState("");
  const open = (view: string) => () => {
    setProblem("");
    openRow(row, view).catch((error: unknown) => setProblem(sentenceOf(error)));
  };
  const there = views().filter((view) => ELSEWHERE.includes(view.name));
  there.sort((a, b) => Number(b.name === own) - Number(a.name === own));
  return (
    <div class="controls">
      <span class="quiet">Open in</span>
      {there.map(({ name, title }) => (
        <button type="button" onClick={open(name)}>
          {title}
        </button>
      ))}
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
