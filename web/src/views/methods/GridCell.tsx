// One cell: a map with what it is worth, a method that waits to be computed, or why it cannot run.
import { useState } from "preact/hooks";
import { PhotoMap } from "../../controls/PhotoMap";
import { Waiting } from "../../controls/Waiting";
import type { Scale } from "../../draw/scale";
import { useAnswer } from "../../state/answers";
import { photo } from "../../state/store";
import type { Decision } from "../../wire/types";
import { computeWords, reasonOf } from "../../words/methods";
import { nameOf, type Cell } from "./cells";
import { Worth } from "./Worth";

interface Props {
  cell: Cell;
  scale: Scale;
  worth: number | null;
  mark: number | null;
  selected: boolean;
  /** It was asked for with all others. */
  wanted: boolean;
  onSelect: () => void;
  onLeaveOut: () => void;
}

export function GridCell({ cell, scale, worth, mark, selected, wanted, onSelect, onLeaveOut }: Props) {
  const [own, setOwn] = useState("");
  const key = JSON.stringify(cell.query ?? null);
  const asked = useAnswer<Decision>("decision", cell.query && (wanted || own === key) ? cell.query : null);
  const tab = selected ? 0 : -1;
  const words = `${nameOf(cell)} of ${cell.model.name}`;
  return (
    <td
      role="gridcell"
      rowSpan={cell.rows}
      aria-selected={selected}
      tabIndex={tab}
      class={cell.field ? "map" : cell.refused ? "refused" : "pending"}
      onClick={onSelect}
      onKeyDown={(event) => {
        if (event.key !== "Enter" || !cell.query || cell.field || event.target !== event.currentTarget) return;
        event.stopPropagation();
        setOwn(key);
      }}
    >
      {cell.layer === "input" && !cell.refused && <span class="where">at the input</span>}
      {cell.field ? (
        <>
          <PhotoMap photo={photo.value!} alt={words} field={cell.field} scale={scale} side={224} />
          <Worth value={worth} mark={mark} />
        </>
      ) : cell.refused ? (
        <>
          <p>{reasonOf(cell.refused)}</p>
          <button type="button" class="link" tabIndex={tab} aria-label={`Leave ${cell.column.entry.title} out`} onClick={onLeaveOut}>
            Leave it out
          </button>
        </>
      ) : (
        <>
          <Waiting asked={asked} what={cell.column.entry.title} />
          {!asked.waiting && (
            <button type="button" tabIndex={tab} aria-label={`${computeWords(cell.seconds)} ${words}`} onClick={() => setOwn(key)}>
              {computeWords(cell.seconds)}
            </button>
          )}
        </>
      )}
    </td>
  );
}
