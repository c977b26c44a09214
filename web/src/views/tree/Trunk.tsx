// The first column: the photo, its score, and what that is made of.
import { useRef } from "preact/hooks";
import { hovered, isHovered, photo } from "../../state/store";
import type { Tree } from "../../wire/types";
import { amount, fine, scoreWord } from "../../words/tree";
import { FIRST } from "./layout";
import { all, sum, type Level, type Shown } from "./levels";
import { selected } from "./state";

export function Trunk({ tree, level, top, levels }: { tree: Tree; level: Level; top: number; levels: readonly Level[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const pro = sum(all(level).filter((one) => !one.against));
  const contra = sum(all(level).filter((one) => one.against));
  const chosen = selected().join("-");
  const nodes = levels.flatMap((one) => one.shown);
  const boxed = nodes.filter((one) => isHovered("node", one.node.id) || one.way.join("-") === chosen);
  const { width, height, url, name } = photo.value!;
  const point = (event: PointerEvent) => {
    const box = frame.current!.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const under = levels.at(-1)!.shown.filter(({ node: { box: at } }) => x >= at[0]! && x <= at[2]! && y >= at[1]! && y <= at[3]!);
    const first = under.sort((a, b) => area(a) - area(b) || Math.abs(b.brings) - Math.abs(a.brings))[0];
    hovered.value = first ? { kind: "node", id: first.node.id } : null;
  };
  return (
    <div class="trunk" style={{ "--top": `${top}px`, "--side": `${FIRST.photo}px` }}>
      <p class="stage">
        <b>Decision</b>
        <span>
          {scoreWord(tree)} {fine(tree.score)}
          {tree.reference_score !== null && ` · reference ${fine(tree.reference_score)}`}
        </span>
      </p>
      <figure>
        <div class="whole" ref={frame} style={{ aspectRatio: `${width} / ${height}` }} onPointerMove={point} onPointerLeave={() => (hovered.value = null)}>
          <img src={url} alt={`${name}, as the network got it`} width={width} height={height} />
          {boxed.map(({ node: { box, id } }) => (
            <i
              class={isHovered("node", id) ? "same" : ""}
              style={{ left: `${100 * box[0]!}%`, top: `${100 * box[1]!}%`, width: `${100 * (box[2]! - box[0]!)}%`, height: `${100 * (box[3]! - box[1]!)}%` }}
            />
          ))}
        </div>
        <figcaption>
          {tree.adds_up && (
            <p>
              {fine(level.whole)} = <span class="for">{fine(pro)}</span>
              {contra < 0 && <span class="against"> − {fine(-contra)}</span>}
              {rest(level)}
            </p>
          )}
          <p class="quiet">{closing(tree, level)}</p>
        </figcaption>
      </figure>
    </div>
  );
}

function rest(level: Level): string {
  const more = (level.rest ?? 0) + (level.biases ?? 0);
  return Math.abs(more) < 0.005 ? "" : ` ${more < 0 ? "\u2212" : "+"} ${fine(Math.abs(more))}`;
}

function closing(tree: Tree, level: Level): string {
  if (!tree.adds_up) return `the channels shown hold ${amount(tree, sum(all(level).filter((one) => !one.against)))} of what speaks for it`;
  const more = (level.rest ?? 0) + (level.biases ?? 0);
  if (Math.abs(more) < 0.005) return "nothing left over";
  if (tree.nodes !== "parts") return "the last: all other channels, and biases";
  return level.biases === null ? "the last is left over" : "the last: biases, and what is left over";
}

function area({ node: { box } }: Shown): number {
  return (box[2]! - box[0]!) * (box[3]! - box[1]!);
}
