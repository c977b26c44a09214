// Which part lies under a point of a drawn scene.
import { bytesOf } from "../../wire/map";
import type { ChangedScene } from "../../wire/types";

/** As in foveal.synthetic.LABELS. */
const PARTS = ["background", "body", "head", "eye", "beak", "crest", "wing", "tail", "legs", "mark", "occluder"];
const decoded = new WeakMap<ChangedScene, Uint8Array>();

/** The part at a point, in fractions of the picture; null for the background and what stands in front. */
export function partAt(scene: ChangedScene, x: number, y: number): string | null {
  if (!scene.labels) return null;
  let labels = decoded.get(scene);
  if (!labels) decoded.set(scene, (labels = bytesOf(scene.labels)));
  const column = Math.floor(x * scene.side);
  const row = Math.floor(y * scene.side);
  const name = PARTS[labels[row * scene.side + column] ?? 0]!;
  return ["background", "mark", "occluder"].includes(name) ? null : name;
}
