// What does channel 121 of stage3 answer to? The question is the control; the answer follows in words.
import { useAnswer } from "../../state/answers";
import { go, linkTo } from "../../state/address";
import { nameOf, setName } from "../../state/names";
import { model, photo } from "../../state/store";
import type { ChannelOff, ChannelPhotos, Stages } from "../../wire/types";
import { count, percent } from "../../words/numbers";
import { shortName } from "../../words/names";

interface Props {
  layer: string;
  channel: number;
  photos: ChannelPhotos | null;
  off: ChannelOff | null;
}

export function Headline({ layer, channel, photos, off }: Props) {
  const staged = useAnswer<Stages>("stages", { photo: photo.value!.hash, model: model.value!.name });
  const stages = staged.answer?.stages ?? [];
  const known = stages.some((stage) => stage.name === layer);
  const most = (stages.find((stage) => stage.name === layer)?.channels ?? channel + 1) - 1;
  const open = (at: string, number: number) => go({ path: [at, String(number)] });
  return (
    <div class="question">
      <h1>
        What does channel{" "}
        <input
          class="asked"
          type="number"
          min={0}
          max={most}
          aria-label="Channel"
          style={{ width: `${String(channel).length + 1}ch` }}
          key={channel}
          defaultValue={String(channel)}
          onChange={(event) => event.currentTarget.reportValidity() && open(layer, Number(event.currentTarget.value))}
        />{" "}
        of{" "}
        <select class="asked" aria-label="Layer" value={layer} onChange={(event) => open(event.currentTarget.value, 0)}>
          {(known ? [] : [layer]).concat(stages.map((stage) => stage.name)).map((name) => (
            <option value={name}>{name}</option>
          ))}
        </select>{" "}
        answer to?
      </h1>
      <p class="answer one" id="answer">
        {photos && said(photos)} {off && photos && off.photos >= photos.of && <>{switched(off)} </>}
        <label>
          <span class="quiet">Your name for it:</span>{" "}
          <input class="called" type="text" size={14} placeholder="none yet" value={nameOf(layer, channel)} onInput={(event) => setName(layer, channel, event.currentTarget.value)} />
        </label>{" "}
        <a href={linkTo({ view: "channel", path: [], layer: known ? layer : undefined })}>All channels{known && ` of ${layer}`}</a>
      </p>
    </div>
  );
}

function said(photos: ChannelPhotos): string {
  const serves = photos.classes.filter((one) => one.mean > 0).slice(0, 3);
  const names = serves.map((one) => shortName(one.name));
  const listed = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  const on = photos.photos === 1 ? (photos.on ? "It is on in your photo" : "It is off in your photo") : `It is on in ${percent(photos.on / photos.photos)} of your ${photos.photos} photos`;
  return `${on}${listed ? ` and brings most to ${listed}` : ""}.`;
}

function switched(off: ChannelOff): string {
  return off.changed.length ? `Switched off, ${count(off.changed.length, "photo changes", "photos change")} class.` : "Switched off, no photo changes class.";
}
