// The decision taken apart: each column shows what supports the node that is open in the one before.
import { useEffect, useRef } from "preact/hooks";
import { ScoreTable } from "../../controls/ScoreTable";
import { Waiting } from "../../controls/Waiting";
import { useAnswer } from "../../state/answers";
import { go } from "../../state/address";
import { recordedOf } from "../../state/recorded";
import { model, photo, target, transport } from "../../state/store";
import type { Scores, Tree as TreeAnswer, Without } from "../../wire/types";
import { Notes } from "../decision/Notes";
import { Question } from "../decision/Question";
import { Answer } from "./Answer";
import { useLevels } from "./branches";
import { useCode } from "./code";
import { Columns } from "./Columns";
import { Controls } from "./Controls";
import { all } from "./levels";
import { Panel } from "./Panel";
import { Path } from "./Path";
import { FORGOTTEN, scale, scales, selected, treeQuery } from "./state";

export function treeIsThere(): boolean {
  return transport.value.live || recordedOf(transport.value, "tree").length > 0;
}

export function Tree() {
  const query = treeQuery();
  const on = { photo: query["photo"], model: query["model"] };
  const asked = useAnswer<TreeAnswer>("tree", query);
  const scored = useAnswer<Scores>("scores", transport.value.has("scores", on) ? on : null);
  const off = [...scales()].map(([of, times]) => ({ of, scale: times }));
  const without = useAnswer<Without>("tree/without", off.length && transport.value.live ? { ...query, scaled: off } : null);
  const renaming = useRef<() => void>(() => undefined);
  const { levels, asked: growing, measured } = useLevels(asked);
  useForgetting();
  useCode(asked.answer, query);
  const tree = asked.answer;
  const chosen = selected();
  const shown = levels.flatMap(all);
  const one = shown.find((each) => each.way.join("-") === chosen.join("-")) ?? levels[0]?.shown[0] ?? null;
  const level = one && levels[one.way.length - 1];
  return (
    <div class="treeview">
      <Question answer={tree} scores={scored.answer} />
      {tree && levels[0] && <Answer tree={tree} level={levels[0]} levels={levels} off={off} without={off.length ? without : null} />}
      <Controls />
      <div class={`taken${asked.waiting && tree ? " old" : ""}`}>
        {tree && levels[0] && (
          <>
            <Path tree={tree} levels={levels} />
            <Columns
              tree={tree}
              levels={levels}
              onOff={(each) => transport.value.live && scale(each.node.id, scales().has(each.node.id) ? 1 : 0)}
              onRename={() => renaming.current()}
            />
          </>
        )}
        <Waiting asked={growing} />
        {!growing.waiting && <Waiting asked={measured} />}
        {asked.problem && query["nodes"] === "parts" && query["reference"] !== "none" && (
          <button type="button" onClick={() => go({ reference: "none" })}>
            Compare with nothing
          </button>
        )}
        {tree && levels[0]?.shown.length === 0 && <p>The score does not depend on any layer with places.</p>}
      </div>
      {tree && one && level && (
        <Panel tree={tree} one={one} level={level} query={query} renaming={renaming}>
          {off.length > 0 && without.answer?.scores && (
            <ScoreTable
              classes={without.answer.scores.classes}
              kind={without.answer.scores.kind}
              asked={tree.asked}
              before={new Map(scored.answer?.classes.map((each) => [each.index, each.score ?? 0]))}
              heading="then, and before (end stroke)"
            />
          )}
          <Waiting asked={without} />
        </Panel>
      )}
      {tree && <Notes notes={tree.notes} />}
    </div>
  );
}

/** Nodes of one tree mean nothing in another. */
function useForgetting(): void {
  const of = `${photo.value?.hash} ${model.value?.name} ${target.value}`;
  const before = useRef(of);
  useEffect(() => {
    if (before.current !== of) go(FORGOTTEN, "same");
    before.current = of;
  }, [of]);
}
