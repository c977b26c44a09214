// What is explained, in words.
import type { Decision } from "../wire/types";
import { shortName } from "./names";

const UNIT = /^(.*), channel (\d+), (?:average|\((\d+), (\d+)\))$/;

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
export function targetLabel(answer: Decision): string {
  if (answer.kind === "neuron") return unitName(answer.target);
  return answer.asked.length ? answer.asked.map((name) => outputName(name)).join(" \u2212 ") : answer.target;
}
