// The tree in words, and what changes when nodes are switched off.
import type { Asked } from "../../state/answers";
import type { Tree, Without } from "../../wire/types";
import { shortName } from "../../words/names";
import { percent } from "../../words/numbers";
import { capital, fine, numberWord, parentWords, referenceWords, scoreWord } from "../../words/tree";
import { all, sum, type Level } from "./levels";
import { opened } from "./state";

interface Props {
  tree: Tree;
  level: Level;
  levels: readonly Level[];
  off: readonly { of: string; scale: number }[];
  without: Asked<Without> | null;
}

export function Answer({ tree, level, levels, off, without }: Props) {
  const way = opened();
  const names = way.map((id, depth) => levels[depth] && all(levels[depth]).find((one) => one.node.id === id)?.name).filter(Boolean);
  return (
    <div class="answer tree-answer" id="answer">
      <p>
        {tree.nodes === "parts" ? <PartsSay tree={tree} level={level} /> : <ChannelsSay tree={tree} level={level} />}
        {names.length > 0 && <span class="quiet"> Opened: {names.join(" → ")}.</span>}
      </p>
      {without?.answer && !without.waiting && <Then tree={tree} levels={levels} off={off} then={without.answer} />}
    </div>
  );
}

function PartsSay({ tree, level }: { tree: Tree; level: Level }) {
  const nodes = all(level).sort((a, b) => b.brings - a.brings);
  const [pro, contra] = [nodes.filter((one) => !one.against), nodes.filter((one) => one.against)];
  const whole = tree.reference ? `the whole difference to ${referenceWords(tree.reference)}` : `the ${scoreWord(tree)}`;
  const first = pro[0];
  return (
    <>
      {capital(numberWord(pro.length))} {pro.length === 1 ? "part speaks" : "parts speak"} for it, <span class="for">{fine(sum(pro), true)}</span>
      {contra.length > 0 && (
        <>
          , and {numberWord(contra.length)} against, <span class="against">{fine(sum(contra), true)}</span>: together {fine(sum(nodes))}
        </>
      )}
      , {whole}.{" "}
      {first && level.whole > 0 && `${capital(parentWords(tree, first))} alone carries ${percent(first.brings / level.whole)}.`}
    </>
  );
}

function ChannelsSay({ tree, level }: { tree: Tree; level: Level }) {
  const nodes = all(level);
  const pro = nodes.filter((one) => !one.against);
  const { pro: forIt, contra, biases } = tree.branch;
  return (
    <>
      In {level.stage.name}, <span class="for">{fine(forIt, true)}</span> speaks for it and <span class="against">{fine(-contra)}</span> against;{" "}
      {biases !== null && Math.abs(biases) >= 0.005 && `biases bring ${fine(biases, true)}; `}together {fine(tree.score)}, the {scoreWord(tree)}.{" "}
      {tree.adds_up
        ? `The ${numberWord(pro.length)} strongest of ${level.stage.channels.toLocaleString("en")} channels bring ${fine(sum(pro), true)}.`
        : `The ${numberWord(pro.length)} strongest of ${level.stage.channels.toLocaleString("en")} channels hold ${percent(sum(pro))} of what speaks for it.`}
    </>
  );
}

/** The measured effect beside what the tree claims. */
function Then({ tree, levels, off, then }: { tree: Tree; levels: readonly Level[]; off: Props["off"]; then: Without }) {
  const first = all(levels[0]!);
  const scaled = off.map((one) => ({ ...one, shown: first.find((each) => each.node.id === one.of) }));
  const claimed = tree.adds_up && scaled.every((one) => one.shown) ? scaled.reduce((total, one) => total - (1 - one.scale) * one.shown!.brings, 0) : null;
  const names = off.map(({ of, scale }) => {
    const name = levels.flatMap(all).find((one) => one.node.id === of)?.name ?? of;
    return scale === 0 ? `${name} off` : `${name} times ${scale}`;
  });
  return (
    <p role="status">
      With {names.join(" and ")} the {scoreWord(tree)} goes from {fine(then.before)} to <b>{fine(then.score)}</b>, {fine(then.score - then.before, true)}
      {claimed !== null ? `; the tree claims ${fine(claimed, true)}.` : "."}
      {then.scores?.kind === "class" && then.scores.classes[0] && ` The network then says ${shortName(then.scores.classes[0].name)}.`}
    </p>
  );
}
