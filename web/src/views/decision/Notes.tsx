// What a reader must know before believing the map.
import { NoteList } from "../../controls/NoteList";
import { linkTo } from "../../state/address";
import { transport } from "../../state/store";
import type { Field } from "../../wire/map";
import type { Stages } from "../../wire/types";

interface Props {
  notes: readonly string[];
  /** Where there is a map: what its positions see is a note, too. */
  stages?: Stages | null;
  layer?: string;
  field?: Field;
}

export function Notes({ notes, stages, layer, field }: Props) {
  const all = [stages && layer && field ? sight(stages, layer, field) : null, ...notes].filter((note): note is string => Boolean(note));
  return <NoteList notes={all}>{transport.value.live && <MoreMethods />}</NoteList>;
}

/** What a map is worth shows beside others. */
function MoreMethods() {
  return <a href={linkTo({ view: "methods" })}>See whether other methods say the same, and what baseline maps look like.</a>;
}

/** What a position is, and what it sees: the edge of the map is not the edge of the thing. */
function sight(stages: Stages, layer: string, field: Field): string | null {
  const stage = stages.stages.find((one) => one.name === layer);
  if (!stage) return null;
  const wide = Math.round(stage.stride[1]!);
  const sees = Math.min(stage.receptive_field[1]!, stages.input_size[1]!);
  const what = !stage.local || sees === stages.input_size[1] ? "the whole image" : `${sees} pixels`;
  if (field.columns === stages.input_size[1]) return null;
  return `A position of ${layer} is ${wide} pixels wide and sees ${what}: the edge of the map is not the edge of the thing.`;
}
