// The answer in words: where the evidence is, and whether the network agrees when the place is hidden.
import type { Place } from "../../draw/places";
import type { Hidden } from "../../wire/altered";
import type { Decision } from "../../wire/types";
import { percent } from "../../words/numbers";
import { claimOf } from "../../words/target";
import { confirmed, hiddenSentence, elsewhereWords } from "./belief";
import { measurements } from "./measurement";

interface Props {
  answer: Decision;
  places: readonly Place[];
  /** What hiding the places does, as soon as that is known. */
  hidden: Hidden | null;
  /** "the lead" */
  noun: string;
}

export function Answer({ answer, places, hidden, noun }: Props) {
  const first = places.find((place) => !place.against) ?? places[0];
  const [x0, y0, x1, y1] = answer.maps[0]!.grid.seen as [number, number, number, number];
  const seen = (x1 - x0) * (y1 - y0) > 0.98 ? "the photo" : "what the network sees";
  const who = claimOf(answer);
  if (!first)
    return (
      <p class="answer" id="answer">
        <b>No place stands out.</b> The map is zero or spread over the whole photo.
      </p>
    );
  const measured = hidden ? measurements(hidden)[places.indexOf(first)] : undefined;
  const belief = measured && hidden ? confirmed(first, answer, measured, hidden.whole) : null;
  return (
    <p class="answer" id="answer">
      {first.against ? (
        <>
          <b>
            All evidence is <span class="against">against</span>.
          </b>{" "}
          {answer.title} finds nothing here that speaks for {who}. Place {first.number} covers {percent(first.area)} of {seen} and holds{" "}
          <span class="against">{percent(first.share)} of the evidence against it</span>.
        </>
      ) : (
        <>
          <b>{belief === "little" || belief === "opposite" ? `The map points at place ${first.number}, but hiding it ${belief === "little" ? "changes little" : "does the opposite"}: do not trust it.` : `Because of place ${first.number}.`}</b>{" "}
          It covers {percent(first.area)} of {seen} and holds <span class="for">{percent(first.share)} of the evidence for</span> {who}.
        </>
      )}
      {measured && hidden && ` ${hiddenSentence(first, noun, answer, hidden.whole, measured)}${elsewhereWords(hidden.whole, measured)}`}
      {first.against && (belief === "little" || belief === "opposite") && <b> Hiding it {belief === "little" ? "changes little" : "does the opposite of what the map says"}: do not trust the map.</b>}
    </p>
  );
}
