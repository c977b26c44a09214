// The chosen map, large, with what its method shows and costs.
import { PhotoMap } from "../../controls/PhotoMap";
import type { Scale } from "../../draw/scale";
import { linkTo } from "../../state/address";
import { photo } from "../../state/store";
import { costWords } from "../../words/methods";
import { percent, seconds } from "../../words/numbers";
import type { Cell } from "./cells";
import { lostOf, type Block } from "./useGrid";
import { Worth } from "./Worth";

interface Props {
  cell: Cell;
  block: Block;
  scale: Scale;
}

export function Chosen({ cell, block, scale }: Props) {
  const { entry } = cell.column;
  const [shows = "", more = ""] = entry.about.split("; ");
  const there = { view: "decision", method: cell.column.name, model: cell.model.name, ...(cell.layer === "input" ? {} : { layer: cell.layer }) };
  const needs = entry.needs === "forwards" ? cell.answer?.seconds : undefined;
  return (
    <section class="chosenmap">
      <h2>
        {entry.title}, {cell.model.name}, {cell.layer}
        {cell.field && (
          <a href={linkTo(there)}>
            Open in Decision <kbd>Enter</kbd>
          </a>
        )}
      </h2>
      {cell.field ? (
        <PhotoMap photo={photo.value!} alt={`${photo.value!.name}, ${entry.title}`} describedBy="method" field={cell.field} scale={scale} side={452} />
      ) : (
        <p class="problem">{cell.refused ? sentence(cell.refused) : "This method runs the network many times: it waits until you ask."}</p>
      )}
      <div id="method">
        <p>{sentence(shows)}</p>
        {more && <p class="quiet">{sentence(more)}</p>}
        <p class="quiet">
          {sentence(costWords(entry.cost))}
          {needs !== undefined && ` It took ${seconds(needs)}.`}
        </p>
      </div>
      <Legend cell={cell} block={block} />
    </section>
  );
}

function Legend({ cell, block }: { cell: Cell; block: Block }) {
  const worth = block.worth(cell);
  const truth = block.deciding.answer;
  const measured = block.measured.answer;
  if (worth === null && !(truth && !truth.part)) return null;
  if (worth === null) return <p class="quiet legendline">No part of this scene has a fifth of the score: no part decides alone.</p>;
  const of = lostOf(block);
  return (
    <div class="legendline">
      <Worth value={worth} mark={block.mark} />
      <p>
        {truth?.part
          ? `How much of the evidence for it lies on the ${truth.part}.`
          : `How much of ${of} is lost when the ${percent(measured!.share)} of the photo that the map marks most takes its mean color.`}{" "}
        {block.mark !== null && <span class="quiet">The gray mark is the best that a map gets that knows nothing, {percent(block.mark)}.</span>}
      </p>
    </div>
  );
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!]$/.test(upper) ? upper : `${upper}.`;
}
