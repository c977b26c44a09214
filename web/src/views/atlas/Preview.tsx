// What is under the pointer: its photo with the map, and what was decided.
import { useEffect, useState } from "preact/hooks";
import { useAnswer } from "../../state/answers";
import type { AtlasRow, AtlasRows } from "../../wire/types";
import { shortName } from "../../words/names";
import { points } from "../../words/numbers";
import type { AtlasData } from "./data";
import { Thumb } from "./Thumb";

const REST = 90; // milliseconds that the pointer rests before its photo is asked for

export function Preview({ data, point }: { data: AtlasData; point: number }) {
  const [rested, setRested] = useState<number | null>(null);
  useEffect(() => {
    const timer = setTimeout(() => setRested(point), REST);
    return () => clearTimeout(timer);
  }, [point]);
  const { answer } = useAnswer<AtlasRows>("atlas_rows", rested === point ? { run: data.answer.run, rows: [data.rows[point]!] } : null);
  const row = answer?.rows[0];
  return (
    <>
      {row && (row.thumb || row.map) ? <Thumb url={row.thumb} map={row.map} alt={row.name} method={data.answer.method} /> : <div class="thumb blank" />}
      <p>{row ? <Said row={row} /> : textAt(data, "predicted", point)}</p>
    </>
  );
}

/** "Jay 7.1, labeled Crow". */
export function Said({ row }: { row: AtlasRow }) {
  const wrong = row.label !== null && row.predicted !== null && row.label !== row.predicted;
  return (
    <>
      <b>{shortName(row.predicted ?? row.target ?? row.name)}</b>
      {row.score !== null && ` ${points(row.score)}`}
      {wrong && <span class="quiet">, labeled {shortName(row.label!)}</span>}
    </>
  );
}

function textAt(data: AtlasData, name: string, point: number): string {
  const column = data.texts.get(name);
  return column?.values[column.codes[point]!] ?? "";
}
