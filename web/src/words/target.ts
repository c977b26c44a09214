// What is explained, in words and as text: "jay", "jay - crow", "neuron:layer3:17:4,9", "own:NAME".
import type { ClassScore } from "../wire/types";
import { shortName } from "./names";

const UNIT = /^(.*), channel (\d+), (?:average|\((\d+), (\d+)\))$/;
export const RUNNER_UP = "runner-up";
export const PREDICTED = "predicted";

/** What every answer says of its target. */
export interface About {
  target: string;
  asked: readonly string[];
  /** As of a decision; left out where answers are about classes, units and functions alone. */
  kind?: string;
}

/** A name of an output; a number alone says of what it is. */
export function outputName(name: string, kind = "class"): string {
  return /^\d+$/.test(name) ? `${kind} ${name}` : shortName(name);
}

/** "channel 17 of layer3", "channel 17 of layer3 at row 5, column 10". */
export function unitName(target: string): string {
  const unit = UNIT.exec(target);
  if (!unit) return target;
  const [, layer, channel, row, column] = unit;
  return `channel ${channel} of ${layer}${row ? ` at row ${Number(row) + 1}, column ${Number(column) + 1}` : ""}`;
}

/** One line: "jay − crow". */
export function targetLabel(answer: About): string {
  if (answer.kind === "value") return outputName(answer.asked[0]!, "value");
  return answer.asked.length ? answer.asked.map((name) => outputName(name)).join(" \u2212 ") : unitName(answer.target);
}

/** What evidence is for. */
export function claimOf(answer: About): string {
  return answer.kind === "margin" ? outputName(answer.asked[0]!) : targetLabel(answer);
}

/** How a class is named in a target: its number where another has the same name. */
export function textOf(one: ClassScore, classes: readonly ClassScore[]): string {
  return classes.some((other) => other !== one && other.name === one.name) ? String(one.index) : one.name;
}

/** The same for a name that an answer gives; of several classes of that name the one with the highest score. */
export function textOfName(name: string, classes: readonly ClassScore[]): string {
  const one = classes.find((other) => other.name === name);
  return one ? textOf(one, classes) : name;
}

/** Row and column are counted from 1 on the page, from 0 in targets. */
export function unitText(layer: string, channel: number, at: readonly [number, number] | null): string {
  return `neuron:${layer}:${channel}${at ? `:${at[0] - 1},${at[1] - 1}` : ""}`;
}

/** What a form shows of a target. */
export function unitOf(target: string): Record<"layer" | "channel" | "row" | "column", string> {
  const [, layer = "", channel = "0", row, column] = /^neuron:(.+?):(\d+)(?::(\d+),(\d+))?$/.exec(target) ?? [];
  const shown = (text: string | undefined) => (text ? String(Number(text) + 1) : "");
  return { layer, channel, row: shown(row), column: shown(column) };
}

export interface Sides {
  /** Texts of the classes of a margin as the target has them; "" where it is of another kind. */
  first: string;
  second: string;
}

/** The sides of the target, as text: stand-ins and numbers where it has them. */
export function sidesOf(target: string, asked: readonly string[], classes: readonly ClassScore[]): Sides {
  if (target === "" || target === PREDICTED) return { first: PREDICTED, second: "" };
  const written = target.split(" - ");
  const side = (i: number) => {
    const text = written[i] ?? "";
    const kept = written.length === asked.length && (/^\d+$/.test(text) || text === (i ? RUNNER_UP : PREDICTED));
    return kept ? text : asked[i] === undefined ? "" : textOfName(asked[i], classes);
  };
  return { first: side(0), second: side(1) };
}

/** Why this and not that. */
export function margin(first: string, second: string): string {
  return first === second ? `${first} - ${RUNNER_UP}` : `${first} - ${second}`;
}
