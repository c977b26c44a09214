// Why this decision: one photo large, the answer in words, the evidence around it.
import { useMemo, useState } from "preact/hooks";
import { Legend } from "../../controls/Legend";
import { PhotoMap } from "../../controls/PhotoMap";
import { ScoreTable } from "../../controls/ScoreTable";
import { Trouble } from "../../controls/Trouble";
import { Waiting } from "../../controls/Waiting";
import { outlineOf } from "../../draw/contour";
import { placesOf } from "../../draw/places";
import { chooseScale, type Sign } from "../../draw/scale";
import { useAnswer } from "../../state/answers";
import { address, go } from "../../state/address";
import { colors, isHovered, methodName, model, photo, target, transport } from "../../state/store";
import { fieldOf, type Field } from "../../wire/map";
import type { Decision as DecisionAnswer, Scores, Stages } from "../../wire/types";
import { Answer } from "./Answer";
import { Badges } from "./Badges";
import { Controls } from "./Controls";
import { DepthScrubber } from "./DepthScrubber";
import { Notes } from "./Notes";
import { Places } from "./Places";
import { Reading } from "./Reading";
import { Question } from "./Question";
import { useCode } from "./code";

export function Decision() {
  const on = { photo: photo.value!.hash, model: model.value!.name };
  const decided = useAnswer<DecisionAnswer>("decision", { ...on, target: target.value, method: methodName.value });
  const scored = useAnswer<Scores>("scores", transport.value.has("scores", on) ? on : null);
  const staged = useAnswer<Stages>("stages", transport.value.has("stages", on) ? on : null);
  const [pointed, setPointed] = useState<{ field: Field; at: [number, number] } | null>(null);
  const sign = (address.value.sign as Sign | undefined) ?? "auto";
  const [limit, setLimit] = useState<{ limit?: number; from?: number }>({});
  const answer = decided.problem ? null : decided.answer;
  const layer = answer ? Math.max(0, answer.layers.indexOf(address.value.layer ?? answer.layers.at(-1)!)) : 0;
  const field = answer ? fieldOf(answer.maps[layer]!) : null;
  const scale = useMemo(
    () => (field ? chooseScale([field], { sign, colors: colors.value, ...limit }) : undefined),
    [field, sign, colors.value, limit],
  );
  const position = pointed?.field === field ? (pointed?.at ?? null) : null; // of this map, not of an earlier one
  const places = useMemo(() => (field ? placesOf(field) : []), [field]);
  const outlines = useMemo(() => places.map((place) => outlineOf(field!, place)), [places]);
  useCode(answer, layer);
  const bare = address.value.show === "photo";
  return (
    <div class="decision">
      <Question answer={answer} scores={scored.answer} failed={Boolean(decided.problem)} />
      {decided.problem && <Trouble problem={decided.problem} scores={scored.answer} />}
      <div class={`evidence${decided.waiting && answer ? " old" : ""}`}>
        <figure>
          <div class="pictured">
            <PhotoMap
              photo={photo.value!}
              alt={`${photo.value!.name} with the evidence of ${answer?.title ?? "the network"}`}
              describedBy="answer"
              field={field}
              scale={bare ? undefined : scale}
              position={position}
              onPosition={(at) => setPointed(at && field && { field, at })}
            >
              {!bare &&
                places.map((place, i) => (
                  <path class={`place${isHovered("place", place.number) ? " same" : ""}`} d={outlines[i]!.path} />
                ))}
            </PhotoMap>
            {!bare && <Badges places={places} outlines={outlines} />}
            {field && scale && !bare && <Legend scale={scale} field={field} onChange={(most, from) => setLimit({ limit: most, from })} />}
          </div>
          <Reading answer={answer} layer={layer} field={field} places={places} position={position} />
        </figure>
        {!decided.problem && <Waiting asked={decided} what={decided.progress?.what} />}
        <Controls />
        {answer && <DepthScrubber answer={answer} chosen={layer} sign={sign} onChange={(next) => go({ layer: next })} />}
      </div>
      <div class={`answers${decided.waiting && answer ? " old" : ""}`}>
        {answer && field && <Answer answer={answer} places={places} />}
        {scored.answer && <ScoreTable classes={scored.answer.classes} kind={scored.answer.kind} asked={answer?.asked ?? []} live={transport.value.live} />}
        <Waiting asked={scored} />
        {answer && field && <Places field={field} places={places} photo={photo.value!} scale={scale!} />}
        {answer && field && (
          <Notes notes={[...answer.notes, ...(scored.answer?.notes ?? [])]} stages={staged.answer} layer={answer.layers[layer]!} field={field} />
        )}
      </div>
    </div>
  );
}
