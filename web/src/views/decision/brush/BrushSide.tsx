// What the network says of the brushed photo, beside what it says with the same shape elsewhere.
import { DotPlot } from "../../../controls/DotPlot";
import { ScoreTable } from "../../../controls/ScoreTable";
import { Waiting } from "../../../controls/Waiting";
import { useAnswer } from "../../../state/answers";
import { go } from "../../../state/address";
import type { Newest } from "../../../state/newest";
import type { Edit, Edited, Hidden } from "../../../wire/altered";
import type { Decision, Scores } from "../../../wire/types";
import { points } from "../../../words/numbers";
import { changeWords, scoreNoun } from "../../../words/scores";
import { BrushAnswer, DRAWS } from "./BrushAnswer";
import { Fills } from "./Fills";
import { clear, drawing, edit, explainingLeft, fill, fillName, keeping, undo } from "./state";

interface Props {
  /** Photo, model and target. */
  on: { photo: string; model: string; target: string };
  answer: Decision;
  scores: Scores | null;
  edited: Newest<Edited, { edit: Edit }>;
}

export function BrushSide({ on, answer, scores, edited }: Props) {
  const now = edit.value;
  const still = now && !drawing.value;
  const others = useAnswer<Hidden>("places", still ? { ...on, shapes: [now.shape], keep: now.keep, fill: now.fill, draws: DRAWS } : null);
  const noun = scoreNoun(answer, on.target, scores?.kind);
  const before = new Map(scores?.classes.map((one) => [one.index, one.score ?? 0]));
  const hidden = others.answer?.places[0];
  const dots = still && edited.current && !others.waiting ? (hidden?.elsewhere.filter((value): value is number => value !== null) ?? []) : [];
  const said = edited.answer;
  const doing = keeping.value ? "kept" : "hidden";
  return (
    <>
      <BrushAnswer answer={answer} noun={noun} edited={now ? said : null} kept={edited.query?.edit.keep ?? keeping.value} dots={dots} asked={answer.asked} />
      {scores && <ScoreTable classes={said?.classes.of ? said.classes.highest : scores.classes} of={scores.classes.length} kind={scores.kind} asked={answer.asked} before={said ? before : undefined} heading={said ? "the stroke is where they were" : undefined} />}
      {edited.problem && <p class="problem" role="alert">{edited.problem}</p>}
      {now && said?.score != null && (
        <section class="elsewhere">
          <h2>
            {noun[0]!.toUpperCase() + noun.slice(1)} with this shape {doing} <span class="quiet">a dot for each of {DRAWS} other places</span>
          </h2>
          <DotPlot
            whole={said.whole}
            here={said.score}
            others={dots}
            wholeLabel="nothing hidden"
            edge={keeping.value ? "most" : "least"}
            edgeLabel={keeping.value ? "best other place" : "costliest place"}
            label={`${noun}: ${points(said.score)} here, ${points(said.whole)} with nothing hidden${dots.length ? `, from ${points(Math.min(...dots))} to ${points(Math.max(...dots))} at ${dots.length} other places` : ""}`}
          />
          <Waiting asked={others} what={`The same shape at ${DRAWS} other places`} />
        </section>
      )}
      {now && (
        <section class="actions">
          <h2>This shape</h2>
          <div class="controls">
            <button type="button" onClick={undo}>
              Undo <kbd>Ctrl Z</kbd>
            </button>
            <button type="button" onClick={clear}>
              Clear
            </button>
            <button type="button" onClick={() => go({ brush: keeping.value ? "hide" : "keep", left: undefined })}>
              {keeping.value ? "Hide only this" : "Keep only this"}
            </button>
            <button type="button" aria-pressed={explainingLeft.value} onClick={() => go({ left: explainingLeft.value ? undefined : "1" })}>
              Explain what is left
            </button>
          </div>
          {explainingLeft.value && <p class="quiet">The map is that of the altered photo: {noun} {said ? changeWords(said.whole, said.score) : ""}, {doing === "hidden" ? "hidden" : "filled"} with {fillName(fill.value)}.</p>}
        </section>
      )}
      {still && <Fills on={on} noun={noun} edit={now} />}
    </>
  );
}
