// The channels of a layer by what they bring to this decision.
import { useState } from "preact/hooks";
import { Waiting } from "../../controls/Waiting";
import { useAnswer } from "../../state/answers";
import { address, go, linkTo } from "../../state/address";
import { hovered, model, photo, target } from "../../state/store";
import type { ChannelEntry, Channels, Scores, Stages } from "../../wire/types";
import { count, percent, points } from "../../words/numbers";
import { shortName } from "../../words/names";
import { Question } from "../decision/Question";
import { ChannelRows } from "./ChannelRows";
import { useChannelsCode } from "./code";

export function Front() {
  const on = { photo: photo.value!.hash, model: model.value!.name };
  const found = useAnswer<Channels>("layer_channels", { ...on, target: target.value, layer: address.value.layer ?? null });
  const scored = useAnswer<Scores>("scores", on);
  const staged = useAnswer<Stages>("stages", on);
  const { answer } = found;
  useChannelsCode(answer);
  const [last, setLast] = useState<number | null>(null);
  const over = hovered.value?.kind === "channel" ? Number(hovered.value.id.split("/").at(-1)) : last;
  const shown = answer?.entries.find((one) => one.channel === over) ?? answer?.entries[0];
  return (
    <div class="decision channelfront">
      {answer?.score === null ? <div class="question"><h1>Which channels answer to this photo?</h1></div> : <Question answer={answer} scores={scored.answer} failed={Boolean(found.problem)} />}
      <div class="evidence">
        {shown && answer && <Pictured entry={shown} layer={answer.layer} seesMost={answer.sees_most} />}
        {staged.answer && answer && (
          <label class="select">
            Channels of{" "}
            <select value={answer.layer} onChange={(event) => go({ layer: event.currentTarget.value })}>
              {staged.answer.stages.map((stage) => (
                <option value={stage.name}>
                  {stage.name} ({count(stage.channels, "channel")})
                </option>
              ))}
            </select>
          </label>
        )}
      </div>
      <div class={`answers${found.waiting && answer ? " old" : ""}`}>
        <Waiting asked={found} />
        {answer && (
          <>
            <p class="answer">{sentence(answer)}</p>
            <ChannelRows answer={answer} onOver={setLast} />
          </>
        )}
      </div>
    </div>
  );
}

function sentence(answer: Channels) {
  if (answer.score === null) return `This network gives an embedding, and no class to bring anything to. Its channels stand by their largest activation in ${photo.value!.name}.`;
  const lead = answer.asked.length === 2 ? "lead" : "score";
  const first = answer.entries[0]!;
  return (
    <>
      <b>{answer.half === 1 ? "One channel holds" : `${count(answer.half, "channel")} of ${answer.channels} hold`} half of what speaks for it.</b> Together the
      channels of {answer.layer} bring {points(answer.score - answer.rest)} of a {lead} of {points(answer.score)}. Channel {first.channel} brings most:{" "}
      <span class="for">{points(first.brings ?? 0, true)}</span>
      {answer.score > 0 && `, ${percent((first.brings ?? 0) / answer.score)} of the ${lead}`}
      {answer.asked[0] && ` for ${shortName(answer.asked[0])}`}.
    </>
  );
}

/** The photo, and what the channel under the pointer sees of it where it is strongest. */
function Pictured({ entry, layer, seesMost }: { entry: ChannelEntry; layer: string; seesMost: boolean }) {
  const [x0, y0, x1, y1] = entry.box as [number, number, number, number];
  const { width, height } = photo.value!;
  return (
    <figure>
      <a href={linkTo({ view: "channel", path: [layer, String(entry.channel)] })} class="photomap" style={{ aspectRatio: `${width} / ${height}`, "--aspect": width / height }}>
        <img src={photo.value!.url} alt={`${photo.value!.name}, with what channel ${entry.channel} sees where it is strongest`} />
        <svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
          <rect class="cell" x={x0} y={y0} width={x1 - x0} height={y1 - y0} />
        </svg>
      </a>
      <figcaption class="read">
        Channel {entry.channel} is strongest here; {seesMost ? `the position sees most of the photo` : "the frame is what the position sees"}.
      </figcaption>
    </figure>
  );
}
