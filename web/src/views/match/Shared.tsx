// What both photos share: their maps, lines between positions, and the numbers of the embedding that say so.
import { useMemo, useState } from "preact/hooks";
import { useEffect } from "preact/hooks";
import { Waiting } from "../../controls/Waiting";
import { chooseScale } from "../../draw/scale";
import { address } from "../../state/address";
import { useAnswer } from "../../state/answers";
import { hovered } from "../../state/store";
import { fieldOf } from "../../wire/map";
import type { Counterpart, Matched, PhotoEntry } from "../../wire/types";
import { NoteList } from "../../controls/NoteList";
import { Channels } from "./Channels";
import { Photos } from "./Photos";
import { showCode } from "./code";
import { LinePanel } from "./LinePanel";
import { MatchControls } from "./MatchControls";
import { Pair } from "./Pair";
import { PartsTable } from "./PartsTable";
import { Ramps } from "./Ramps";
import { by, chosen } from "./state";

const PARTS = 5;

interface Props {
  on: { photo: string; model: string; metric: string };
  one: PhotoEntry;
  other: PhotoEntry;
  rank: number;
  of: number;
  /** There is a next rank to be set apart from. */
  divisible: boolean;
}

export function Shared({ on, one, other, rank, of, divisible }: Props) {
  const lines = address.value.lines === undefined ? null : Number(address.value.lines);
  const pairOf = { ...on, other: other.hash };
  const { of: layer } = address.value;
  const asked = useAnswer<Matched>("match", { ...pairOf, method: by.value, lines, parts: 0, ...(layer && { layer }) });
  const { answer } = asked;
  const at = chosen.value;
  const found = useAnswer<Counterpart>("counterpart", at && { ...pairOf, side: at.side, positions: [[at.row, at.column]] });
  const parted = useAnswer<Matched>("match", address.value.parts ? { ...pairOf, method: "fam", lines: 0, parts: PARTS } : null);
  const part = hovered.value?.kind === "part" ? (parted.answer?.parts[Number(hovered.value.id)] ?? null) : null;
  const [last, setLast] = useState(0);
  const pointed = hovered.value?.kind === "line" ? Number(hovered.value.id) : null;
  useEffect(() => {
    if (pointed !== null) setLast(pointed);
  }, [pointed]);
  useEffect(() => {
    if (answer) showCode(one, other, null, lines, answer.seconds);
  }, [answer, one, other]);
  const fields = useMemo(() => {
    const shown = part ?? answer;
    return shown && [fieldOf(shown.query_map), fieldOf(shown.reference_map)];
  }, [answer, part]);
  const scales = useMemo(() => {
    if (!fields) return null;
    const both = chooseScale(fields);
    const colors = both.sign === "signed" ? ("diverging" as const) : ("sequential" as const);
    if (address.value.scale !== "each") return [{ ...both, colors }, { ...both, colors }];
    return fields.map((field) => chooseScale([field], { sign: both.sign, colors }));
  }, [fields, address.value.scale]);
  if (!answer || !fields || !scales)
    return (
      <>
        <Photos photos={[one, other]} />
        <Waiting asked={asked} what="Comparing" />
      </>
    );
  const line = Math.min(pointed ?? last, Math.max(answer.lines.length - 1, 0));
  const counterpart = at && found.answer ? { at, answer: found.answer } : null;
  return (
    <>
      <div class={asked.waiting ? "old" : ""}>
        <Pair one={one} other={other} answer={part ? { ...answer, lines: [] } : answer} fields={fields} scales={scales} line={line} counterpart={part ? null : counterpart} rank={rank} of={of} />
      </div>
      <Waiting asked={asked} what="Comparing" />
      <Waiting asked={found} />
      <div class="matchbar">
        <MatchControls divisible={divisible} lines={answer.lines.length} />
        {!counterpart && <Ramps scales={scales} />}
      </div>
      <div class="halves">
        <LinePanel one={one} other={other} answer={answer} fields={fields} line={line} counterpart={counterpart} />
        <Channels answer={answer} />
      </div>
      {address.value.parts && <PartsTable asked={parted} photos={[one, other]} />}
      <NoteList notes={answer.notes} />
    </>
  );
}
