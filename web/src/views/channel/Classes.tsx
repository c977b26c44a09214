// The classes a channel serves: what it brings to them on average.
import { useState } from "preact/hooks";
import { hover, isHovered } from "../../state/store";
import type { ChannelPhotos } from "../../wire/types";
import { count, signedPoints } from "../../words/numbers";
import { shortName } from "../../words/names";

const FIRST = 6;
const LAST = 2;

export function Classes({ photos }: { photos: ChannelPhotos }) {
  const [all, setAll] = useState(false);
  const { classes } = photos;
  const few = all || classes.length <= FIRST + LAST + 1;
  const upper = few ? classes : classes.slice(0, FIRST);
  const lower = few ? [] : classes.slice(-LAST);
  const low = Math.min(0, ...classes.map((one) => one.mean));
  const high = Math.max(0, ...classes.map((one) => one.mean), 1e-12);
  const at = (value: number) => (100 * (value - low)) / (high - low);
  const row = (one: ChannelPhotos["classes"][number]) => {
    const side = one.mean < 0 ? "against" : "for";
    return (
      <tr class={isHovered("class", one.name) ? "same" : ""} {...hover("class", one.name)}>
        <th scope="row" title={count(one.photos, "photo")}>
          {shortName(one.name)}
        </th>
        <td class="track" aria-hidden="true">
          <i class="zero" style={{ left: `${at(0)}%` }} />
          <i class={`claim ${side}`} style={{ left: `${Math.min(at(0), at(one.mean))}%`, width: `${Math.abs(at(one.mean) - at(0))}%` }} />
        </td>
        <td class={`number ${Math.abs(one.mean) < 0.005 ? "quiet" : side}`}>{signedPoints(one.mean)}</td>
      </tr>
    );
  };
  return (
    <section class="serves">
      <table>
        <caption>
          <b>Classes it serves</b> <span class="quiet">mean over their photos, in points</span>
        </caption>
        <tbody>
          {upper.map(row)}
          {!few && (
            <tr>
              <th scope="row" colSpan={3}>
                <button type="button" class="link" onClick={() => setAll(true)}>
                  {classes.length - FIRST - LAST} more between
                </button>
              </th>
            </tr>
          )}
          {lower.map(row)}
        </tbody>
      </table>
    </section>
  );
}
