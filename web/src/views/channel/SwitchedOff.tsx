// The channel at zero in all photos: how many change class, and what their classes lose. Measured, so ink.
import { linkTo } from "../../state/address";
import type { Growing } from "../../state/bouts";
import { library } from "../../state/store";
import type { ChannelOff, ChannelPhotos } from "../../wire/types";
import { count, signedPoints } from "../../words/numbers";
import { shortName } from "../../words/names";
import { Progressing } from "./Progressing";

interface Props {
  photos: ChannelPhotos;
  off: Growing<ChannelOff>;
  ready: boolean;
  onWanted: () => void;
}

const SHOWN = 6;

export function SwitchedOff({ photos, off, ready, onWanted }: Props) {
  const { answer } = off;
  const largest = answer?.losses[0];
  const nameOf = (hash: string) => library.value!.photos.find((one) => one.hash === hash)?.name ?? "a photo";
  return (
    <section class="switched">
      <h2>
        Switched off in {count(answer?.of ?? photos.of, "photo")} <span class="quiet">measured</span>
      </h2>
      <Progressing of={off} what="photos asked again" />
      {answer && largest && (
        <p aria-live="polite">
          <b>{count(answer.changed.length, "photo changes", "photos change")}</b> class{answer.photos < answer.of ? " so far" : ""}. The largest mean loss is{" "}
          {signedPoints(largest.mean).replace("+", "")} points, of {shortName(largest.name)}.
        </p>
      )}
      {answer && answer.changed.length > 0 && (
        <ul class="plainlist">
          {answer.changed.slice(0, SHOWN).map((one) => (
            <li>
              <a href={linkTo({ photo: one.photo, target: undefined })}>{nameOf(one.photo)}</a>: {shortName(one.after)} instead of {shortName(one.before)}
            </li>
          ))}
          {answer.changed.length > SHOWN && <li class="quiet">and {answer.changed.length - SHOWN} more</li>}
        </ul>
      )}
      {!off.running && (answer?.of ?? 0) < photos.of && (
        <button type="button" disabled={!ready} onClick={onWanted}>
          Switch it off in all {count(photos.of, "photo")}
        </button>
      )}
    </section>
  );
}
