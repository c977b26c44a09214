// The columns, from the decision to ever smaller pieces: a tree for the keyboard, ribbons for the eye.
import { useEffect, useRef } from "preact/hooks";
import { hover, isHovered } from "../../state/store";
import type { Tree } from "../../wire/types";
import { amount, sumWords } from "../../words/tree";
import { count } from "../../words/numbers";
import { Trunk } from "./Trunk";
import { TreeItem } from "./TreeItem";
import { COLUMN, FIRST, placed, ribbons } from "./layout";
import { sum, type Level, type Shown } from "./levels";
import { moved } from "./moves";
import { opened, scales, select, selected } from "./state";

interface Props {
  tree: Tree;
  levels: readonly Level[];
  onOff: (one: Shown) => void;
  onRename: () => void;
}

export function Columns({ tree, levels, onOff, onRename }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const { columns, photo, height } = placed(levels);
  const [way, chosen, off] = [opened(), selected(), scales()];
  const most = (level: Level) =>
    Math.max(...(tree.nodes === "parts" ? levels : [level]).flatMap((one) => one.shown.map((each) => Math.abs(each.brings))), 1e-9);
  const focus = chosen.join("-") || levels[0]?.shown[0]?.way.join("-");
  useEffect(() => {
    box.current?.querySelector(".column:last-of-type")?.scrollIntoView({ block: "nearest", inline: "end" });
  }, [focus, levels.length]);
  const press = (one: Shown) => (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = moved(event.key, one, levels, way);
    if (next) {
      document.getElementById(`node-${next.chosen.join("-")}`)?.focus(); // at once, for the next key
      select(next.chosen, next.open);
    } else if (event.key.toLowerCase() === "o") onOff(one);
    else if (event.key === "F2") onRename();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const width = FIRST.column + COLUMN * levels.length - 50;
  return (
    <div class="columns" ref={box} style={{ "--wide": `${width}px`, "--high": `${height}px` }}>
      <svg class="ribbons" width={width} height={height} aria-hidden="true">
        {ribbons(levels, columns, { middle: photo + FIRST.photo / 2 }).map(({ one, path }) => (
          <path
            d={path}
            class={[one.against ? "against" : "for", off.has(one.node.id) ? "off" : "", isHovered("node", one.node.id) ? "same" : ""].join(" ")}
            {...hover("node", one.node.id)}
          />
        ))}
      </svg>
      <Trunk tree={tree} level={levels[0]!} top={photo} levels={levels} />
      <div role="tree" aria-label={`What ${tree.target} rests on`} aria-orientation="horizontal">
        {levels.map((level, depth) => (
          <div
            role="group"
            aria-label={`${level.stage.name}, ${level.parent ? `what ${level.parent.name} is made of` : "what the decision rests on"}`}
            class={`column${level.old ? " old" : ""}${depth === levels.length - 1 ? " last" : ""}`}
            style={{ "--x": `${columns[depth]!.x}px`, "--end": `${columns[depth]!.end}px` }}
          >
            {level.shown.map((one, i) => (
              <TreeItem
                key={one.way.join("-")}
                tree={tree}
                one={one}
                level={level}
                most={most(level)}
                place={{ top: columns[depth]!.tops[i]!, set: i + 1, of: level.shown.length }}
                open={way[depth] === one.node.id}
                chosen={focus === one.way.join("-")}
                scale={off.get(one.node.id) ?? 1}
                onPress={press(one)}
                onClick={() => select(one.way, one.node.grows && !(way[depth] === one.node.id && focus === one.way.join("-")) ? one.way : one.way.slice(0, -1))}
              />
            ))}
          </div>
        ))}
      </div>
      {levels.map((level, depth) => (
        <div class={`about${depth === levels.length - 1 ? " last" : ""}`} style={{ "--x": `${columns[depth]!.x}px`, "--end": `${columns[depth]!.end}px` }}>
          <p class="stage">
            <b>{level.stage.name}</b>
            <span>
              {level.stage.rows}×{level.stage.columns} positions · {count(level.stage.channels, "channel")}
            </span>
          </p>
          <div class="beneath">
            {level.folded.length > 0 && (
              <p>
                {level.folded.length} smaller, together {amount(tree, sum(level.folded), true)}
              </p>
            )}
            {level.biases !== null && <p>biases {amount(tree, level.biases, true)}</p>}
            <p>{sumWords(tree, level)}</p>
          </div>
        </div>
      ))}
    </div>
  );
}
