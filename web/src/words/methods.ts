// What a method costs, in words.
import { count, seconds } from "./numbers";

/** "1 + 1" of `foveal methods` as a person says it. */
export function costWords(cost: string): string {
  const plain = cost.replace("*", "");
  const [number, each] = plain.split("/") as [string, string?];
  const passes = (text: string, kind: string) => count(Number(text), `${kind} pass`, `${kind} passes`);
  if (each) return `${passes(number, "forward")} for each ${each}`;
  const [forward, backward] = plain.split(" + ") as [string, string?];
  if (!/^\d+$/.test(forward)) return "many forward passes";
  if (!backward) return passes(forward, "forward");
  return forward === backward && forward !== "1"
    ? `${count(Number(forward), "forward and backward pass", "forward and backward passes")}`
    : `${passes(forward, "forward")}, ${passes(backward, "backward")}`;
}

/** Whether it runs the network more than a few times. */
export function isSlow(needs: string | null): boolean {
  return needs === "forwards";
}

/** A method in a menu: what takes long says so. */
export function menuTitle(method: { title: string; cost: string; needs: string | null }): string {
  return isSlow(method.needs) ? `${method.title} (${costWords(method.cost)})` : method.title;
}

export function computeWords(about: number | undefined): string {
  return about === undefined ? "Compute" : `Compute (${seconds(Math.max(about, 0.1))})`;
}

/** "Because of x: do y" as a sentence of its own: what is before the colon. */
export function reasonOf(sentence: string): string {
  const [reason = ""] = sentence.split(": ");
  const text = reason.charAt(0).toUpperCase() + reason.slice(1);
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

/** "a", "a and b", "a, b and c"; of many the first, and how many more. */
export function listed(names: readonly string[], most = 3): string {
  const shown = names.length > most ? [...names.slice(0, most - 1), count(names.length - most + 1, "other")] : names;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}
