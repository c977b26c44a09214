// The answer in words.
import type { Place } from "../../draw/places";
import type { Decision } from "../../wire/types";
import { percent } from "../../words/numbers";
import { claimOf } from "../../words/target";

export function Answer({ answer, places }: { answer: Decision; places: readonly Place[] }) {
  const first = places.find((place) => !place.against);
  const [x0, y0, x1, y1] = answer.maps[0]!.grid.seen as [number, number, number, number];
  const seen = (x1 - x0) * (y1 - y0) > 0.98 ? "the photo" : "what the network sees";
  return (
    <p class="answer" id="answer">
      {first ? (
        <>
          <b>Because of place {first.number}.</b> It covers {percent(first.area)} of {seen} and holds{" "}
          <span class="for">{percent(first.share)} of the evidence for</span> {claimOf(answer)}.
        </>
      ) : places.length ? (
        <>
          <b>
            All evidence is <span class="against">against</span>.
          </b>{" "}
          {answer.title} finds nothing here that speaks for {claimOf(answer)}.
        </>
      ) : (
        <>
          <b>No place stands out.</b> The map is zero or spread over the whole photo.
        </>
      )}
    </p>
  );
}
