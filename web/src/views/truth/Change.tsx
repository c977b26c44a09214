// What the changes did, in words.
import type { ChangedScene, SceneChange } from "../../wire/types";
import { shortName } from "../../words/names";
import { points } from "../../words/numbers";
import { said } from "./changes";

interface Props {
  changes: readonly SceneChange[];
  before: ChangedScene;
  now: ChangedScene;
  lead: string;
  /** The network has not answered yet. */
  pending: boolean;
}

export function Change({ changes, before, now, lead, pending }: Props) {
  if (!changes.length) return <p class="hint">Drag a part of the bird, or choose one and press Delete: the network answers at once.</p>;
  const words = changes.map(said).join(", ");
  const [was, is] = [before.scores.classes[0]!, now.scores.classes[0]!];
  return (
    <p class="hint ink" aria-live="polite">
      {words[0]!.toUpperCase() + words.slice(1)}:{" "}
      {pending ? (
        "asking the network …"
      ) : (
        <>
          the {lead} is {points(now.score)} instead of {points(before.score)}
          {was.index === is.index ? `, still ${shortName(is.name)}.` : "; "}
          {was.index !== is.index && <b>the network now says {shortName(is.name)}.</b>}
        </>
      )}
    </p>
  );
}
