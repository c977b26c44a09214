// What sets two photos apart: why the query is more like the one than like the other, on all three.
import { useEffect, useMemo } from "preact/hooks";
import { PhotoMap } from "../../controls/PhotoMap";
import { Waiting } from "../../controls/Waiting";
import { chooseScale } from "../../draw/scale";
import { address, go } from "../../state/address";
import { useAnswer } from "../../state/answers";
import { fieldOf } from "../../wire/map";
import type { Contrast, PhotoEntry } from "../../wire/types";
import { NoteList } from "../../controls/NoteList";
import { photoName } from "../../words/names";
import { Photos } from "./Photos";
import { showCode } from "./code";
import { MatchControls } from "./MatchControls";
import { Ramps } from "./Ramps";
import { likeness } from "./words";

interface Props {
  on: { photo: string; model: string; metric: string };
  one: PhotoEntry;
  other: PhotoEntry;
  than: PhotoEntry;
  /** All that are compared, the most similar first. */
  order: readonly PhotoEntry[];
}

export function Apart({ on, one, other, than, order }: Props) {
  const asked = useAnswer<Contrast>("contrast", { ...on, other: other.hash, than: than.hash });
  const { answer } = asked;
  const fields = useMemo(() => answer && [answer.query_map, answer.one_map, answer.other_map].map(fieldOf), [answer]);
  const scales = useMemo(() => {
    if (!fields) return null;
    const margin = chooseScale(fields.slice(0, 1), { sign: "signed" });
    const each = address.value.scale === "each";
    return [margin, ...fields.slice(1).map((field) => chooseScale(each ? [field] : fields.slice(1), { sign: "signed" }))];
  }, [fields, address.value.scale]);
  useEffect(() => {
    if (answer) showCode(one, other, than, null);
  }, [answer, one, other, than]);
  if (!answer || !fields || !scales)
    return (
      <>
        <Photos photos={[one, other, than]} />
        <Waiting asked={asked} what="Comparing" />
      </>
    );
  const [first, second] = answer.margin >= 0 ? [other, than] : [than, other];
  const lost = answer.unplaced / answer.margin;
  const figures = [
    { photo: one, words: "what sets them apart" },
    { photo: other, words: `${answer.metric} ${likeness(answer.values[0])}` },
    { photo: than, words: `${answer.metric} ${likeness(answer.values[1])}` },
  ];
  return (
    <>
      <p class="answer">
        <b>
          {photoName(first)} is ahead of {photoName(second)} by {likeness(Math.abs(answer.margin))}.
        </b>{" "}
        On {photoName(one)}, <span class="for">orange speaks for {photoName(other)}</span>,{" "}
        <span class="against">blue for {photoName(than)}</span>;{" "}
        {Math.abs(lost) > 0.01
          ? `the map sums to ${likeness(answer.margin - answer.unplaced)}, and ${likeness(answer.unplaced)} of the lead lies at no position.`
          : "the map sums to the lead."}
      </p>
      <div class={`triple${asked.waiting ? " old" : ""}`}>
        {figures.map(({ photo, words }, i) => (
          <figure key={i} style={{ "--aspect": photo.width / photo.height }}>
            <figcaption>
              <b>{photoName(photo)}</b> <span class="quiet">{words}</span>
            </figcaption>
            <PhotoMap photo={photo} alt={i ? `${photoName(photo)} with the evidence for its similarity to ${photoName(one)}` : `${photoName(photo)}: orange for ${photoName(other)}, blue for ${photoName(than)}`} field={fields[i]} scale={scales[i]} />
          </figure>
        ))}
      </div>
      <Waiting asked={asked} what="Comparing" />
      <div class="matchbar">
        <MatchControls divisible lines={0} />
        <label class="select">
          <span class="quiet">apart from</span>{" "}
          <select value={than.hash} onChange={(event) => go({ than: event.currentTarget.value })}>
            {order.map((rival, i) => rival !== other && (
              <option value={rival.hash}>
                {i + 1} {photoName(rival)}
              </option>
            ))}
          </select>
        </label>
        <Ramps scales={scales.slice(0, 1)} />
      </div>
      <NoteList notes={answer.notes} />
    </>
  );
}
