// The changes of a scene as the address has them: crest:none, tail:by:3:-2, crest:as:Coral Ibis, on:sand.
import { address, go } from "../../state/address";
import { photo } from "../../state/store";
import type { SceneChange } from "../../wire/types";

type Part = Extract<SceneChange, { kind: "move" }>["part"];
type Background = Extract<SceneChange, { kind: "background" }>["background"];

export const BACKGROUNDS: readonly Background[] = ["foliage", "water", "sand", "sky", "stones"];

/** The changes of the scene that is shown; those of another photo are none of its own. */
export function changesNow(): SceneChange[] {
  const [of, ...texts] = String(address.value.changes ?? "").split("~");
  return of && photo.value?.hash.startsWith(of) ? texts.flatMap(parsed) : [];
}

export function setChanges(changes: readonly SceneChange[], step: "new" | "same" = "new"): void {
  const text = changes.length ? [photo.value!.hash.slice(0, 8), ...changes.map(formatted)].join("~") : undefined;
  go({ changes: text, show: undefined }, step);
}

/** One more; a part that is moved on is one move. */
export function withChange(changes: readonly SceneChange[], change: SceneChange): SceneChange[] {
  const last = changes.at(-1);
  if (change.kind === "move" && last?.kind === "move" && last.part === change.part)
    return [...changes.slice(0, -1), { ...change, dx: last.dx + change.dx, dy: last.dy + change.dy }];
  return [...changes.filter((one) => !replaces(change, one)), change];
}

function replaces(later: SceneChange, earlier: SceneChange): boolean {
  if (later.kind === "background") return earlier.kind === "background";
  return (later.kind === "remove" || later.kind === "look") && (earlier.kind === "remove" || earlier.kind === "look") && later.part === earlier.part;
}

function formatted(change: SceneChange): string {
  switch (change.kind) {
    case "remove":
      return `${change.part}:none`;
    case "look":
      return `${change.part}:as:${change.species}`;
    case "move":
      return `${change.part}:by:${change.dx}:${change.dy}`;
    case "background":
      return `on:${change.background}`;
  }
}

function parsed(text: string): SceneChange[] {
  const [what = "", how = "", x = "", y = ""] = text.split(":");
  const part = what as Part;
  if (what === "on") return [{ kind: "background", background: how as Background }];
  if (how === "none") return [{ kind: "remove", part }];
  if (how === "as") return [{ kind: "look", part, species: x }];
  const [dx, dy] = [Number(x), Number(y)];
  return how === "by" && Number.isFinite(dx) && Number.isFinite(dy) ? [{ kind: "move", part, dx, dy }] : [];
}

/** In words: "without the crest", "with the tail moved". */
export function said(change: SceneChange): string {
  switch (change.kind) {
    case "remove":
      return `without the ${change.part}`;
    case "look":
      return `with the ${change.part} of a ${change.species}`;
    case "move":
      return change.part === "body" ? "with the bird moved" : `with the ${change.part} moved`;
    case "background":
      return `on ${change.background}`;
  }
}
