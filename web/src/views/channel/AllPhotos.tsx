// Every photo as a dot at its largest activation; arrows go from one to the next, Enter or a click opens it.
import { useState } from "preact/hooks";
import { go } from "../../state/address";
import { library, photo } from "../../state/store";
import type { ChannelPhotos } from "../../wire/types";
import { count, raw } from "../../words/numbers";
import { shortName } from "../../words/names";
import { stacked } from "./dots";

const WIDE = 440;
const HIGH = 126;

export function AllPhotos({ photos }: { photos: ChannelPhotos }) {
  const [at, setAt] = useState<number | null>(null);
  const { dots, ticks, x, radius } = stacked(photos.all.map((one) => one.value), WIDE, HIGH - 26);
  const open = photo.value!.hash;
  const mine = photos.all.findIndex((one) => one.photo === open);
  const own = photos.predicted[mine];
  const order = photos.all.map((_, i) => i).sort((a, b) => photos.all[a]!.value - photos.all[b]!.value);
  const place = at === null ? order.indexOf(mine) : at;
  const chosen = order[Math.max(place, 0)] ?? 0;
  const nameOf = (i: number) => library.value!.photos.find((one) => one.hash === photos.all[i]?.photo)?.name ?? "";
  const show = (i: number) => go({ photo: photos.all[i]!.photo, target: undefined });
  const press = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (step) setAt(Math.min(Math.max(Math.max(place, 0) + step, 0), order.length - 1));
    else if (event.key === "Enter") show(chosen);
    else return;
    event.preventDefault();
  };
  return (
    <section class="allphotos">
      <h2>
        All {count(photos.photos, "photo")} <span class="quiet">largest activation; a dot is a photo</span>
      </h2>
      <svg
        viewBox={`0 0 ${WIDE} ${HIGH + 20}`}
        role="slider"
        tabIndex={0}
        aria-label="Photos by largest activation"
        aria-valuemin={1}
        aria-valuemax={order.length}
        aria-valuenow={Math.max(place, 0) + 1}
        aria-valuetext={`${nameOf(chosen)}, ${raw(photos.all[chosen]?.value ?? 0)}; Enter opens it`}
        onKeyDown={press}
        onBlur={() => setAt(null)}
      >
        {dots.map((dot, i) => (
          <circle
            class={[own && photos.predicted[i] === own ? "own" : "", at !== null && i === chosen ? "at" : ""].join(" ")}
            cx={dot.x}
            cy={HIGH - radius - dot.y}
            r={radius}
            onClick={() => show(i)}
          >
            <title>{`${nameOf(i)}, ${raw(photos.all[i]!.value)}`}</title>
          </circle>
        ))}
        <line class="axis" x1="0" x2={WIDE} y1={HIGH} y2={HIGH} />
        {ticks.map((tick) => (
          <text x={Math.min(Math.max(x(tick), 8), WIDE - 12)} y={HIGH + 15} text-anchor="middle">
            {raw(tick)}
          </text>
        ))}
        {mine >= 0 && (
          <g class="mine">
            <line x1={dots[mine]!.x} x2={dots[mine]!.x} y1="16" y2={HIGH} />
            <text x={Math.min(Math.max(dots[mine]!.x, 30), WIDE - 32)} y="11" text-anchor="middle">
              this photo
            </text>
          </g>
        )}
      </svg>
      {own && <p class="hint">Strong dots are taken for {shortName(own)}, like this photo.</p>}
    </section>
  );
}
