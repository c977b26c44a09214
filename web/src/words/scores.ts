// What the explained score is called, and how it changes.
import type { Decision } from "../wire/types";
import { shortName } from "./names";
import { points } from "./numbers";

/** "the lead" of a margin, "the score" of a class, "the activation" of a unit. */
export function scoreNoun(answer: Decision, target: string, kind = "class"): string {
  if (answer.asked.length > 1) return "the lead";
  if (target.startsWith("neuron:")) return "the activation";
  if (target.startsWith("own:")) return `the result of ${target.slice(4)}`;
  return kind === "value" ? "the value" : "the score";
}

const SAME = 0.04; // of the larger: less is no change worth a word

export function unchanged(before: number, after: number): boolean {
  return Math.abs(after - before) < Math.max(SAME * Math.max(Math.abs(before), Math.abs(after)), 0.005) || points(before) === points(after);
}

/** "falls from 7.5 to 0.3", "stays at 7.5". */
export function changeWords(before: number, after: number | null): string {
  if (after === null) return "is no number any more";
  if (unchanged(before, after)) return points(before) === points(after) ? `stays at ${points(after)}` : `hardly changes, from ${points(before)} to ${points(after)}`;
  return `${after < before ? "falls" : "rises"} from ${points(before)} to ${points(after)}`;
}

/** With a place hidden: "the lead of 7.5 points is gone", "the lead turns: Crown-crested Jay leads by 1.8". */
export function hiddenWords(noun: string, answer: Decision, before: number, after: number | null): string {
  if (noun === "the lead" && after !== null && before > 0) {
    if (after < -0.1 * before && points(after) !== points(0)) return `${noun} of ${points(before)} points turns: ${shortName(answer.asked[1]!)} leads by ${points(-after)}`;
    if (after < 0.1 * before) return `${noun} of ${points(before)} points is gone`;
  }
  return `${noun} ${changeWords(before, after)}`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length ? (sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2) : NaN;
}
