// The answer in words.
import type { Place } from "../../draw/places";
import type { Decision } from "../../wire/types";
import { percent } from "../../words/numbers";

export function Answer({ answer, places }: { answer: Decision; places: readonly Place[] }) {
  const first = places.find((place) => !place.against);
  return (
    <p class="answer" id="answer">
      {first ? (
        <>
          <b>Because of place {first.number}.</b> It covers {percent(first.area)} of the photo and holds{" "}
          <span class="for">{percent(first.share)} of the evidence for</span> {answer.asked[0] ?? answer.target}.
        </>
      ) : places.length ? (
        <>
          <b>
            All evidence is <span class="against">against</span>.
          </b>{" "}
          {answer.title} finds nothing here that speaks for {answer.asked[0] ?? answer.target}.
        </>
      ) : (
        <>
          <b>No place stands out.</b> The map is zero or spread over the whole photo.
        </>
      )}
    </p>
  );
}
