// New scenes, and scenes that become photos of the studio.
import { load } from "../../main";
import { go } from "../../state/address";
import { transport } from "../../state/store";
import type { ChangedScene, Drawn } from "../../wire/types";

/** Make the changed scene a photo, and open it where every view explains photos. */
export async function explainScene(query: object): Promise<void> {
  const answer = await transport.value.ask<ChangedScene>("scene", { ...query, keep: true }, new AbortController().signal);
  await load();
  go({ view: "decision", photo: answer.photo!.hash, target: undefined, changes: undefined, show: undefined });
}

/** Scenes that nobody has seen yet; the first is opened unless they are only to be there. */
export async function drawScenes(count = 1, open = true): Promise<void> {
  const seed = Math.floor(Math.random() * 1e6);
  const answer = await transport.value.ask<Drawn>("draw", { seed, count }, new AbortController().signal);
  await load();
  if (open) go({ photo: answer.photos[0]!.hash, target: undefined, changes: undefined, show: undefined });
}
