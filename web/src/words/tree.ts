// What is said of a tree and its nodes.
import type { Shown, Level } from "../views/tree/levels";
import { sum } from "../views/tree/levels";
import type { Tree } from "../wire/types";
import { percent } from "./numbers";

const MINUS = "\u2212";
const NUMBERS = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/** A value of the tree: two decimals, a true minus, never "−0.00". */
export function fine(value: number, signed = false): string {
  const text = Math.abs(value).toFixed(2);
  const zero = Number(text) === 0;
  return (value < 0 && !zero ? MINUS : signed && !zero ? "+" : "") + text;
}

/** In the units of the tree: points, or shares where the rule does not add up. */
export function amount(tree: Tree, value: number, signed = false): string {
  if (tree.adds_up) return fine(value, signed);
  return (signed && value > 0 ? "+" : "") + percent(value);
}

export function numberWord(count: number): string {
  return NUMBERS[count] ?? String(count);
}

/** What the photo is compared with, as a part of a sentence. */
export function referenceWords(reference: string): string {
  const known: Record<string, string> = {
    "the same image, blurred": "the photo blurred",
    "an input of zeros": "an empty input",
    "an image of its mean color": "one plain color, its mean",
  };
  return known[reference] ?? reference;
}

/** What stands under a column: always whether something is left over. */
export function sumWords(tree: Tree, level: Level): string {
  const brought = sum(level.shown) + sum(level.folded) + (level.biases ?? 0);
  if (level.rest === null) return `${percent(sum([...level.shown, ...level.folded].filter((one) => !one.against)))} of what speaks for it`;
  if (tree.nodes === "parts")
    return Math.abs(level.rest) < 0.005
      ? `sum ${fine(brought)} of ${fine(level.whole)}; nothing left over`
      : `sum ${fine(brought)} of ${fine(level.whole)}; left over ${fine(level.rest)}`;
  const others = level.stage.channels - new Set([...level.shown, ...level.folded].flatMap((one) => one.node.channels)).size;
  return `sum ${fine(brought)} of ${fine(level.whole)}; the other ${others.toLocaleString("en")} channels bring ${fine(level.rest)}`;
}

/** What is taken apart: a margin is a lead. */
export function scoreWord({ asked }: { asked: readonly string[] }): string {
  return asked.length === 2 ? "lead" : "score";
}

/** What its parent is called. */
export function parentWords(tree: Tree, parent: Shown | null): string {
  return parent ? (/^(part|channel) \d/.test(parent.name) ? parent.name : `the ${parent.name}`) : `the ${scoreWord(tree)}`;
}

export function claimWords(tree: Tree, one: Shown, level: Level): [verb: string, claim: string, rest: string] {
  const whole = tree.adds_up ? ` of ${possessive(tree, level.parent)} ${fine(level.whole)}.` : ` of what speaks ${one.against ? "against" : "for"} ${parentWords(tree, level.parent)}.`;
  const supports = one.against === (level.whole < 0);
  return [supports || !tree.adds_up ? "Carries" : "Takes", amount(tree, one.brings, tree.adds_up), whole];
}

function possessive(tree: Tree, parent: Shown | null): string {
  return parent ? `${parentWords(tree, parent)}\u2019s` : "the decision\u2019s";
}

/** What the network answers when the node is switched off: alone, and averaged over which of the other parts are there. */
export function measuredWords(tree: Tree, one: Shown, parent: Shown | null): string | null {
  if (one.measured === null) return null;
  const what = one.node.part === null ? `With channel ${one.node.channels[0]} switched off` : "Switched off";
  const who = parentWords(tree, parent);
  const lost = `${what}, ${who} ${changed(tree, one.measured)}`;
  if (!tree.adds_up) return `${lost} of its value.`;
  const ratio = one.measured / one.brings;
  const average = one.average !== null && Math.abs(one.average - one.measured) >= 0.1 * Math.abs(one.brings) ? one.average : null;
  const onAverage = average === null ? "" : `averaged over which of the other parts are there, it ${changed(tree, average)}`;
  if (ratio < 0.05 && average !== null && average / one.brings > 0.2) return `${lost}, as other parts stand in for it: ${onAverage}.`;
  const then = onAverage ? ` ${capital(onAverage)}.` : "";
  if (ratio < 0) return `${lost}: the network contradicts the claim.${then}`;
  if (ratio > 1.1) return `${lost}: the network confirms the claim, and more.${then}`;
  return `${lost}: the network confirms ${percent(Math.min(ratio, 1))} of the claim.${then}`;
}

/** What becomes of something that loses this much. */
export function changed(tree: Tree, lost: number): string {
  if (Math.abs(lost) < 0.005 && tree.adds_up) return "stays as it is";
  return `${lost < 0 ? "gains" : "loses"} ${amount(tree, Math.abs(lost))}`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
