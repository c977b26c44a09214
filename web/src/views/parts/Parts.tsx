// Which parts, ranked: the photo with an outline each, what they are worth, and beside them the parts of the tree.
import { useMemo, useState } from "preact/hooks";
import { PhotoMap } from "../../controls/PhotoMap";
import { Waiting } from "../../controls/Waiting";
import { outlineOf } from "../../draw/contour";
import { chooseScale } from "../../draw/scale";
import { useAnswer } from "../../state/answers";
import { address } from "../../state/address";
import { hovered, isHovered, model, photo, target, transport } from "../../state/store";
import { fieldOf } from "../../wire/map";
import type { Parts as PartsAnswer, Scores, Tree } from "../../wire/types";
import { percent } from "../../words/numbers";
import { numberWord, scoreWord } from "../../words/tree";
import { Badges } from "../decision/Badges";
import { Notes } from "../decision/Notes";
import { Question } from "../decision/Question";
import { recordedOf } from "../../state/recorded";
import { treeQuery } from "../tree/state";
import { Controls } from "./Controls";
import { useCode } from "./code";
import { FirstLevel } from "./FirstLevel";
import { placeOf, Ranks } from "./Ranks";

export function partsQuery(): Record<string, string | number> {
  const { count, resolution, of } = address.value as Record<string, string | undefined>;
  const on = { photo: photo.value!.hash, model: model.value!.name, target: target.value };
  return { ...on, count: Number(count ?? 3), resolution: Number(resolution ?? 1), ...(of && { layer: of }) };
}

export function partsAreThere(): boolean {
  return transport.value.live || recordedOf(transport.value, "parts").length > 0;
}

export function Parts() {
  const query = partsQuery();
  const on = { photo: query["photo"], model: query["model"] };
  const found = useAnswer<PartsAnswer>("parts", query);
  const scored = useAnswer<Scores>("scores", transport.value.has("scores", on) ? on : null);
  const [chosen, setChosen] = useState(1);
  const { answer } = found;
  // Where a network chooses parts itself, differences have no rule for its choice.
  const asked = answer && treeQuery("parts", answer.own ? "none" : undefined);
  const tree = useAnswer<Tree>("tree", asked && !found.waiting && transport.value.has("tree", asked) ? asked : null);
  useCode(answer, query);
  const places = useMemo(() => answer?.parts.map((part) => placeOf(part)) ?? [], [answer]);
  const outlines = useMemo(() => places.map((place, i) => outlineOf(fieldOf(answer!.parts[i]!.map), place)), [places]);
  const pointed = hovered.value?.kind === "place" ? Number(hovered.value.id) : chosen;
  const shown = answer?.parts.find((part) => part.rank === pointed) ?? answer?.parts[0];
  const field = shown ? fieldOf(shown.map) : null;
  return (
    <div class="decision partsview">
      <Question answer={answer} scores={scored.answer} />
      <div class={`evidence${found.waiting && answer ? " old" : ""}`}>
        <figure>
          <div class="pictured">
            <PhotoMap
              photo={photo.value!}
              alt={`${photo.value!.name} with the outlines of its parts; shown: part ${shown?.rank ?? 1}`}
              describedBy="answer"
              field={field}
              scale={field ? chooseScale([field], { sign: "positive", colors: "sequential" }) : undefined}
            >
              {outlines.map((outline, i) => (
                <path class={`place${isHovered("place", i + 1) ? " same" : ""}${shown?.rank === i + 1 ? "" : " faint"}`} d={outline.path} />
              ))}
            </PhotoMap>
            <Badges places={places} outlines={outlines} />
          </div>
          <p class="read">{shown ? `In color: how active part ${shown.rank} is, position by position.` : "\u00a0"}</p>
        </figure>
        <Waiting asked={found} />
        <Controls answer={answer} />
      </div>
      <div class={`answers${found.waiting && answer ? " old" : ""}`}>
        {answer && (
          <>
            <p class="answer" id="answer">
              <b>{answer.own ? "The network decides by these parts." : `${answer.layer} sees ${numberWord(answer.parts.length)} kinds of things here.`}</b>{" "}
              They cover {percent(answer.coverage)} of what is active, and are ranked by how active they are.{" "}
              {answer.own ? "" : `The network does not decide by them: the ${scoreWord(answer)} is divided among them by position.`}
            </p>
            <Ranks answer={answer} chosen={shown?.rank ?? 1} onChoose={setChosen} />
          </>
        )}
        {tree.answer && <FirstLevel tree={tree.answer} />}
        <Waiting asked={tree} />
        {answer && <Notes notes={answer.notes} />}
      </div>
    </div>
  );
}
