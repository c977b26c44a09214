// Why this decision: one photo large, the answer in words, the evidence around it.
import { useMemo, useState } from "preact/hooks";
import { Legend } from "../../controls/Legend";
import { PhotoMap } from "../../controls/PhotoMap";
import { ScoreTable } from "../../controls/ScoreTable";
import { Trouble } from "../../controls/Trouble";
import { Waiting } from "../../controls/Waiting";
import { leastArea } from "../../draw/area";
import { outlineOf } from "../../draw/contour";
import { placesOf } from "../../draw/places";
import { chooseScale, type Sign } from "../../draw/scale";
import { useAnswer } from "../../state/answers";
import { address, go } from "../../state/address";
import { colors, isHovered, library, method, methodName, model, photo, target, transport } from "../../state/store";
import { fieldOf, type Field } from "../../wire/map";
import type { Decision as DecisionAnswer, Scores, Stages } from "../../wire/types";
import { scoreNoun } from "../../words/scores";
import { Others } from "../atlas/Others";
import { openRow } from "../atlas/opening";
import { useAltered } from "./altered";
import { Answer } from "./Answer";
import { Badges } from "./Badges";
import { BrushLayer } from "./brush/BrushLayer";
import { BrushSide } from "./brush/BrushSide";
import { showsMap } from "./brush/state";
import { Seen } from "./brush/Seen";
import { BrushTools } from "./brush/BrushTools";
import { Controls } from "./Controls";
import { useCurves } from "./curves";
import { DeletionCurve } from "./DeletionCurve";
import { DepthCurves } from "./DepthCurves";
import { DepthScrubber } from "./DepthScrubber";
import { least } from "./LeastArea";
import { Notes } from "./Notes";
import { useHidden } from "./hidden";
import { finerOf } from "./finer";
import { Places } from "./Places";
import { Reading } from "./Reading";
import { Question } from "./Question";
import { startAt } from "./switch/state";
import { SwitchSide } from "./switch/SwitchSide";
import { useCode } from "./code";
import { WhatIf } from "./WhatIf";

export function Decision() {
  const on = { photo: photo.value!.hash, model: model.value!.name };
  const asking = { ...on, target: target.value };
  const altered = useAltered(asking);
  const finer = altered.switching ? null : finerOf();
  const how = { ...asking, method: methodName.value, ...finer };
  const asIs = useAnswer<DecisionAnswer>("decision", how);
  const left = useAnswer<DecisionAnswer>("decision", altered.change && { ...how, ...altered.change });
  // A layer that is no stage is asked for by its name.
  const wanted = address.value.layer;
  const astray = asIs.answer && !asIs.waiting && wanted && transport.value.live && method.value?.place !== "input" && !asIs.answer.layers.includes(wanted);
  const beside = useAnswer<DecisionAnswer>("decision", astray ? { ...how, also: wanted } : null);
  const decided = altered.change && (left.answer || left.problem) ? left : beside.answer ? beside : asIs;
  const scored = useAnswer<Scores>("scores", transport.value.has("scores", on) ? on : null);
  const staged = useAnswer<Stages>("stages", transport.value.has("stages", on) ? on : null);
  const [pointed, setPointed] = useState<{ field: Field; at: [number, number] } | null>(null);
  const sign = (address.value.sign as Sign | undefined) ?? "auto";
  const [limit, setLimit] = useState<{ limit?: number; from?: number }>({});
  const answer = decided.problem ? null : decided.answer;
  const named = answer ? answer.layers.indexOf(wanted ?? "") : 0;
  const layer = named < 0 ? answer!.layers.length - 1 : named;
  const field = answer ? fieldOf(answer.maps[layer]!) : null;
  const share = least();
  const scale = useMemo(() => {
    const area = field && share !== null ? leastArea(field, share) : null;
    return field ? chooseScale([field], { sign: area ? "positive" : sign, colors: colors.value, ...limit, ...(area && { from: area.from }) }) : undefined;
  }, [field, sign, share, colors.value, limit]);
  const position = pointed?.field === field ? (pointed?.at ?? null) : null; // of this map, not of an earlier one
  const places = useMemo(() => (field ? placesOf(field) : []), [field]);
  const outlines = useMemo(() => places.map((place) => outlineOf(field!, place)), [places]);
  const plain = !altered.brushing && !altered.switching;
  const hidden = useHidden(plain && !decided.waiting ? asking : null, field, places);
  const { depth, deletion } = useCurves(plain && !decided.waiting && !hidden.waiting ? asking : null, astray ? { ...how, also: wanted } : how, answer, layer);
  const noun = answer ? scoreNoun(answer, target.value, scored.answer?.kind) : "the score";
  useCode(plain ? answer : null, layer);
  const bare = !showsMap();
  const live = transport.value.live;
  const rescale = (most: number | undefined, from: number | undefined) => {
    if (share !== null && from !== scale?.from) go({ area: undefined }, "same");
    setLimit({ limit: most, from });
  };
  return (
    <div class="decision">
      <Question answer={answer} scores={scored.answer} failed={Boolean(decided.problem)} />
      {decided.problem && <Trouble problem={decided.problem} scores={scored.answer} />}
      <div class={`evidence${decided.waiting && answer ? " old" : ""}`}>
        <figure>
          <div class="pictured">
            <div class="framed">
              <PhotoMap
                photo={photo.value!}
                alt={`${photo.value!.name} with the evidence of ${answer?.title ?? "the network"}`}
                describedBy="answer"
                field={field}
                scale={bare ? undefined : scale}
                position={position}
                onPosition={altered.brushing ? undefined : (at) => setPointed(at && field && { field, at })}
                onChoose={altered.brushing || finer ? undefined : (at) => answer && field && startAt(answer.layers[layer]!, at)}
                patch={altered.patch}
                over={altered.brushing && <BrushLayer photo={photo.value!} />}
              >
                {altered.brushing && field && <Seen field={field} />}
                {!bare &&
                  places.map((place, i) => (
                    <path class={`place${isHovered("place", place.number) ? " same" : ""}`} d={outlines[i]!.path} />
                  ))}
              </PhotoMap>
              {!bare && <Badges places={places} outlines={outlines} />}
            </div>
            {altered.brushing && <BrushTools photo={photo.value!} />}
            {field && scale && !bare && !altered.brushing && <Legend scale={scale} field={field} onChange={rescale} />}
          </div>
          <Reading answer={answer} layer={layer} field={field} places={places} position={position} />
        </figure>
        {!decided.problem && <Waiting asked={decided} what={decided.progress?.what} />}
        {decided === asIs && <Waiting asked={beside} />}
        <Controls />
        {answer && <DepthScrubber answer={answer} chosen={layer} sign={sign} onChange={(next) => go({ layer: next })} />}
        {answer && plain && <DepthCurves answer={answer} asked={depth} noun={noun} />}
      </div>
      <div class={`answers${decided.waiting && answer ? " old" : ""}${live ? " growing" : ""}`}>
        {answer && altered.brushing && <BrushSide on={asking} answer={answer} scores={scored.answer} edited={altered.edited} />}
        {answer && altered.switching && <SwitchSide on={asking} answer={answer} scores={scored.answer} asIs={asIs.answer} />}
        {plain && (answer && field ? <Answer answer={answer} places={places} hidden={hidden.answer} noun={noun} /> : live && <p class="answer" />)}
        {plain && scored.answer && (
          <ScoreTable classes={scored.answer.classes} kind={scored.answer.kind} asked={answer?.asked ?? []} live={live} />
        )}
        <Waiting asked={scored} />
        {plain && answer && field && <Places field={field} places={places} photo={photo.value!} scale={scale!} hidden={hidden} noun={noun} />}
        {plain && answer && field && <WhatIf field={field} places={places} layer={answer.layers[layer]!} />}
        {plain && answer && library.value?.atlas && <Others ask="alike" query={{ run: library.value.atlas, ...asking }} onOpen={(row) => openRow(row, "decision")} />}
        {plain && field && scale && deletion.asked && <DeletionCurve asked={deletion} field={field} from={scale.from} noun={noun} />}
        {answer && field && (
          <Notes notes={[...answer.notes, ...(scored.answer?.notes ?? [])]} stages={staged.answer} layer={answer.layers[layer]!} field={field} />
        )}
      </div>
    </div>
  );
}
