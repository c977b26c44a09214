// In the drawn world: move or take away a part, and see what is true beside what the map says.
import { useEffect, useState } from "preact/hooks";
import { ScoreTable } from "../../controls/ScoreTable";
import { Waiting } from "../../controls/Waiting";
import { useAnswer } from "../../state/answers";
import { address } from "../../state/address";
import { methodName, model, photo, target } from "../../state/store";
import type { ChangedScene, Decision, Scores, Truth as TruthAnswer } from "../../wire/types";
import { Question } from "../decision/Question";
import { Change } from "./Change";
import { MapPicture } from "./MapPicture";
import { MapChoice } from "./MapChoice";
import { PartTable } from "./PartTable";
import { Scene } from "./Scene";
import { SceneControls, type Shown } from "./SceneControls";
import { Variants } from "./Variants";
import { Spill, Verdict } from "./Verdict";
import { setChanges, withChange } from "./changes";
import { useTruthCode } from "./code";
import { drawScenes, explainScene } from "./scenes";
import { useScene } from "./useScene";

export function Truth() {
  const on = { photo: photo.value!.hash, model: model.value!.name, target: target.value };
  const how = { ...on, method: methodName.value };
  const decided = useAnswer<Decision>("decision", how);
  const scored = useAnswer<Scores>("scores", { photo: on.photo, model: on.model });
  const judged = useAnswer<TruthAnswer>("truth", { ...how, layer: address.value.layer ?? null });
  const drawn = useAnswer<ChangedScene>("scene", { ...on, changes: [], large: true });
  const { changes, shown: changing, pending, settled, move, dragging, now, problem } = useScene(on);
  const [selected, setSelected] = useState<string | null>(null);
  const truth = judged.answer;
  const parts = truth?.parts ?? [];
  const lead = truth?.asked.length === 2 ? "lead" : "score";
  const wanted = (address.value.show ?? (changes.length ? "changed" : "drawn")) as Shown;
  const shown = dragging || (wanted === "changed" && !changes.length) ? (dragging ? "changed" : "drawn") : wanted;
  const putBack = () => setChanges(changes.slice(0, -1));
  const remove = (part: string) => setChanges(withChange(changes, { kind: "remove", part: part as "crest" }));
  const picture = shown === "drawn" ? drawn.answer : now;
  const gone = shown === "drawn" ? [] : changes.flatMap((one) => (one.kind === "remove" ? [one.part] : []));
  useTruthCode(truth, settled.answer, changes);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if ((event.target as HTMLElement).closest("input:not([type=radio]), select, textarea, dialog")) return;
      const undo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
      if (undo && changes.length) putBack();
      else if (event.key.toLowerCase() === "n" && !event.ctrlKey && !event.metaKey && !event.altKey) void drawScenes();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
  const before = new Map(changes.length || dragging ? drawn.answer?.scores.classes.map((one) => [one.index, one.score ?? 0]) : []);
  return (
    <div class="truth">
      <Question answer={decided.answer} scores={scored.answer} failed={Boolean(decided.problem)} />
      <div class="drawn">
        {shown === "map" ? (
          <MapPicture decided={decided.answer} layer={truth?.layer} />
        ) : (
          picture && (
            <Scene
              scene={picture}
              settled={shown === "drawn" ? drawn.answer : settled.answer}
              parts={parts}
              alt={`${photo.value!.name}, ${shown === "drawn" ? "as drawn" : "changed"}`}
              gone={gone}
              selected={selected}
              onSelect={setSelected}
              onMove={move}
              onRemove={remove}
            />
          )
        )}
        {problem && <p class="problem" role="alert">{problem}</p>}
        <SceneControls
          shown={shown}
          changes={changes}
          parts={parts}
          part={parts.find((part) => part.part === (selected ?? truth?.deciding))}
          background={now?.background ?? "foliage"}
          onPutBack={putBack}
        />
        {drawn.answer && now && <Change changes={changing} before={drawn.answer} now={now} lead={lead} pending={pending} />}
        <Variants on={on} parts={parts} changes={changes} lead={lead} />
        <div class="controls">
          {changes.length > 0 && (
            <button type="button" onClick={() => void explainScene({ ...on, changes })}>
              Explain this scene
            </button>
          )}
          <button type="button" onClick={() => void drawScenes()}>
            New scene <kbd>N</kbd>
          </button>
        </div>
      </div>
      <div class={`answers${judged.waiting && truth ? " old" : ""}`}>
        <Waiting asked={judged} what={judged.progress?.what} />
        {truth && <Verdict truth={truth} />}
        {now && (
          <div class={pending ? "old" : ""}>
            <ScoreTable
              classes={now.scores.classes}
              kind={now.scores.kind}
              asked={truth?.asked ?? []}
              before={before}
              most={3}
              heading={changing.length ? "of the changed scene; stroke: as drawn" : undefined}
            />
          </div>
        )}
        {truth && (
          <div class="judged">
            <PartTable parts={parts} photo={photo.value!} deciding={truth.deciding} side={truth.side} onSelect={setSelected}>
              <MapChoice truth={truth} layers={decided.answer?.layers ?? []} />
            </PartTable>
            <Spill truth={truth} side={photo.value!.height} />
          </div>
        )}
      </div>
    </div>
  );
}
