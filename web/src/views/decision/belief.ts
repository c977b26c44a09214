// Whether hiding a place does what the map says.
import type { Place } from "../../draw/places";
import type { Decision } from "../../wire/types";
import { points } from "../../words/numbers";
import { hiddenWords, unchanged } from "../../words/scores";
import { inPoints } from "../../words/units";
import type { Measurement } from "./measurement";

const LITTLE = 0.25; // of what the map claims

/** "yes"; "little" where hiding costs under a quarter of the claim; "opposite" where it helps; null where that is unknown.
 *
 * The claim is the sum of the map where that is in points of the score, else the place's share of the score. */
export function confirmed(place: Place, answer: Decision, { cost }: Measurement, whole: number): "yes" | "little" | "opposite" | null {
  if (cost === null) return null;
  const sign = place.against ? -1 : 1;
  const claim = inPoints(answer.method) ? Math.abs(place.sum) : place.share * Math.abs(whole);
  if (!claim) return null;
  if (sign * cost >= LITTLE * claim) return "yes";
  return sign * cost <= -LITTLE * claim ? "opposite" : "little";
}

export function hiddenSentence(place: Place, noun: string, answer: Decision, whole: number, { score }: Measurement): string {
  return `With ${place.against ? `place ${place.number}` : "it"} hidden, ${hiddenWords(noun, answer, whole, score)}`;
}

/** "; the same shape hidden elsewhere typically changes nothing." */
export function elsewhereWords(whole: number, { cost, median }: Measurement): string {
  if (median === null) return ".";
  const small = Math.abs(median) < 0.05 * Math.max(Math.abs(whole), Math.abs(cost ?? 0)) || unchanged(whole, whole - median);
  if (small) return "; the same shape hidden elsewhere typically changes nothing.";
  const as = cost !== null && Math.abs(median) >= 0.5 * Math.abs(cost) && Math.sign(median) === Math.sign(cost) ? " as well" : "";
  return `; the same shape hidden elsewhere typically ${median > 0 ? "costs" : "adds"} ${points(Math.abs(median))}${as}.`;
}
