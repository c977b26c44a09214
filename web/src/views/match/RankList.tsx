// The other photos by their similarity; the arrow keys choose.
import { useId } from "preact/hooks";
import { go } from "../../state/address";
import type { Ranks } from "../../wire/types";
import { transport } from "../../state/store";
import { photoName } from "../../words/names";
import { count } from "../../words/numbers";
import { AddPhotos } from "./AddPhotos";
import { compareWith, find, isMatched, metric, METRICS } from "./state";
import { likeness } from "./words";

export function RankList({ ranks, chosen, old }: { ranks: Ranks; chosen: string; old: boolean }) {
  const name = useId();
  const sizes = ranks.ranked.map((one) => Math.abs(one.value));
  const most = Math.max(...sizes, 1e-12);
  const full = ranks.metric === "cosine" ? Math.max(most, 1) : most;
  return (
    <>
      <div class="rankhead">
        <h2>
          Ranks <span class="quiet">of {count(ranks.ranked.length, "photo")}</span>
        </h2>
        {transport.value.live && <label class="select">
          <span class="spoken">How photos are compared</span>
          <select value={metric.value} onChange={(event) => go({ metric: event.currentTarget.value === "cosine" ? undefined : event.currentTarget.value, at: undefined })}>
            {METRICS.map(([value, title]) => (
              <option value={value}>{title}</option>
            ))}
          </select>
        </label>}
      </div>
      <div class={`ranked${old ? " old" : ""}`} role="radiogroup" aria-label="Photo to compare with">
        {ranks.ranked.map(({ photo: hash, value }, i) => {
          const photo = find(hash);
          if (!photo) return null;
          return (
            <label class={hash === chosen ? "chosen" : ""}>
              {isMatched(hash) && <input type="radio" name={name} checked={hash === chosen} onChange={() => compareWith(hash)} />}
              <img src={photo.url} alt="" loading="lazy" />
              <span class="quiet">{i + 1}</span>
              <b>{likeness(value)}</b>
              <span class="rankbar" aria-hidden="true">
                <i style={{ width: `${(100 * Math.max(value, 0)) / full}%` }} />
              </span>
              <span class="quiet name">{photo.truth || photoName(photo)}</span>
            </label>
          );
        })}
      </div>
      <AddPhotos />
    </>
  );
}
