// One node: what it looks at, what it is called, what it claims (color), what the network answered (ink).
import { BoxCrop } from "../../controls/BoxCrop";
import { hover, isHovered, photo } from "../../state/store";
import type { Tree } from "../../wire/types";
import { amount, parentWords } from "../../words/tree";
import { CROP } from "./layout";
import type { Level, Shown } from "./levels";
import { fieldFor, scaleFor } from "./maps";

interface Props {
  tree: Tree;
  one: Shown;
  level: Level;
  /** The largest amount that bars are drawn against. */
  most: number;
  place: { top: number; set: number; of: number };
  open: boolean;
  chosen: boolean;
  /** 1 as it is, 0 switched off. */
  scale: number;
  onPress: (event: KeyboardEvent) => void;
  onClick: () => void;
}

export function TreeItem({ tree, one, level, most, place, open, chosen, scale, onPress, onClick }: Props) {
  const [sign, id] = [one.against ? "against" : "for", one.node.id];
  const width = (value: number) => `${Math.min(100, (100 * Math.abs(value)) / most)}%`;
  const lost = one.measured === null ? "" : `; without it ${parentWords(tree, level.parent)} loses ${amount(tree, one.measured)}`;
  const state = scale === 1 ? "" : scale === 0 ? "; switched off" : `; times ${scale}`;
  const classes = ["node", one.against && "opposed", chosen && "chosen", open && "open", scale !== 1 && "off", isHovered("node", id) && "same"];
  return (
    <div
      role="treeitem"
      class={classes.filter(Boolean).join(" ")}
      id={`node-${one.way.join("-")}`}
      aria-level={one.way.length}
      aria-setsize={place.of}
      aria-posinset={place.set}
      aria-selected={chosen}
      aria-expanded={one.node.grows ? open : undefined}
      aria-label={`${one.name}, ${amount(tree, one.brings, true)} of ${amount(tree, level.whole)}${lost}${state}`}
      tabIndex={chosen ? 0 : -1}
      style={{ "--top": `${place.top}px` }}
      onKeyDown={onPress}
      onClick={onClick}
      {...hover("node", id)}
    >
      <BoxCrop url={photo.value!.url} box={one.node.box} side={CROP} field={fieldFor(one)} scale={scaleFor(one)} />
      <div class="said" aria-hidden="true">
        <span class={`name${one.name.length > 17 ? " long" : ""}`}>{one.name}</span>
        <span class={`claim ${sign}`}>{amount(tree, one.brings, true)}</span>
        <span class="answered">{one.measured === null ? "" : amount(tree, one.measured, true)}</span>
        <span class="track">
          <i class={`bar ${sign}`} style={{ width: width(one.brings) }} />
          {one.measured !== null && <i class={`gone-without${Math.sign(one.measured) === Math.sign(one.brings) ? "" : " other"}`} style={{ width: width(one.measured) }} />}
        </span>
      </div>
    </div>
  );
}
