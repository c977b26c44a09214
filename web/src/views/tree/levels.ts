// The columns of the tree: each branch on the way that is open, in the units in which it is shown.
import type { Branch, Effects, Tree, TreeNode, TreeStage } from "../../wire/types";
import { nameOf } from "./state";

export interface Shown {
  node: TreeNode;
  /** Ids from the first level to this one. */
  way: string[];
  name: string;
  /** Parts: points of the decision. Neurons: of their parent's value; a share where the rule does not add up. */
  brings: number;
  /** What its parent loses without it, in the same units; null before it is measured. */
  measured: number | null;
  /** The same, averaged over which of the other parts are there. */
  average: number | null;
  /** Share of the decision that flows along this way. */
  flow: number;
  against: boolean;
}

export interface Level {
  stage: TreeStage;
  /** null of the decision. */
  parent: Shown | null;
  /** What is taken apart, in the units of `brings`. */
  whole: number;
  shown: Shown[];
  /** Too small to be shown by themselves. */
  folded: Shown[];
  biases: number | null;
  rest: number | null;
  /** An earlier one, until the new one is there. */
  old: boolean;
}

/** The level of a branch. `least`: share of the parent that a node carries at least to be shown. */
export function levelOf(tree: Tree, branch: Branch, parent: Shown | null, effects: Effects | null, least: number): Level {
  const factor = tree.nodes === "parts" && parent && branch.value ? parent.brings / branch.value : 1;
  const unit = tree.adds_up ? factor : 1 / (Math.abs(branch.value) || 1);
  const measured = new Map(effects?.of === branch.of ? effects.effects.map((one) => [one.id, one]) : []);
  const all = branch.nodes.map((node): Shown => {
    const brings = node.brings === null ? (node.against ? -node.share : node.share) : node.brings * factor;
    const effect = measured.get(node.id);
    return {
      node,
      way: [...(parent?.way ?? []), node.id],
      name: nameOf(node.id) ?? node.name,
      brings,
      measured: effect ? effect.alone * unit : null,
      average: effect?.average == null ? null : effect.average * unit,
      flow: (parent?.flow ?? 1) * (tree.nodes === "parts" ? node.share : node.against ? -node.share : node.share),
      against: brings < 0,
    };
  });
  const whole = tree.adds_up ? branch.value * factor : 1;
  const large = (one: Shown) => Math.abs(one.brings) >= least * Math.abs(whole);
  const strongest = all.reduce<Shown | null>((most, one) => (!most || Math.abs(one.brings) > Math.abs(most.brings) ? one : most), null);
  const kept = all.filter((one) => large(one) || one === strongest);
  return {
    stage: tree.stages[all[0]?.node.stage ?? 0]!,
    parent,
    whole,
    shown: kept.sort((a, b) => Number(a.against) - Number(b.against) || Math.abs(b.brings) - Math.abs(a.brings)),
    folded: all.filter((one) => !kept.includes(one)),
    biases: branch.biases === null || !tree.adds_up ? null : branch.biases * factor,
    rest: branch.rest === null ? null : branch.rest * factor,
    old: false,
  };
}

export function all(level: Level): Shown[] {
  return [...level.shown, ...level.folded];
}

export function sum(nodes: readonly Shown[]): number {
  return nodes.reduce((before, one) => before + one.brings, 0);
}
