// Channels with what they bring: for in orange, against in blue, what is between in one row.
import { Cutout } from "../../controls/Cutout";
import { linkTo } from "../../state/address";
import { channelName } from "../../state/names";
import { hover, isHovered, photo } from "../../state/store";
import type { ChannelEntry, Channels } from "../../wire/types";
import { raw, signedPoints } from "../../words/numbers";

export function ChannelRows({ answer, onOver }: { answer: Channels; onOver: (channel: number) => void }) {
  const decides = answer.score !== null;
  const values = answer.entries.map((one) => one.brings ?? 0);
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values, 1e-12);
  const at = (value: number) => (100 * (value - low)) / (high - low);
  const row = (one: ChannelEntry) => {
    const brings = one.brings ?? 0;
    const side = brings < 0 ? "against" : "for";
    return (
      <tr class={isHovered("channel", `${answer.layer}/${one.channel}`) ? "same" : ""} {...hover("channel", `${answer.layer}/${one.channel}`)} onPointerDown={() => onOver(one.channel)}>
        <td>
          <Cutout photo={photo.value!} box={one.box} />
        </td>
        <th scope="row">
          <a href={linkTo({ view: "channel", path: [answer.layer, String(one.channel)] })}>{channelName(answer.layer, one.channel)}</a>
        </th>
        <td class="track" aria-hidden="true">
          <i class="zero" style={{ left: `${at(0)}%` }} />
          <i class={`claim ${side}`} style={{ left: `${Math.min(at(0), at(brings))}%`, width: `${Math.abs(at(brings) - at(0))}%` }} />
        </td>
        <td class={`number ${side}`}>{one.brings === null ? "" : signedPoints(brings)}</td>
        <td class="number quiet">{raw(one.peak)}</td>
      </tr>
    );
  };
  const others = answer.channels - answer.entries.length;
  const plus = answer.entries.filter((one) => (one.brings ?? 0) >= 0);
  const minus = answer.entries.filter((one) => (one.brings ?? 0) < 0);
  return (
    <section class="channelrows">
      <table>
        <caption>
          <b>{decides ? "By what they bring here" : "By their largest activation here"}</b>{" "}
          {decides && <span class="quiet">in points; activation × gradient, summed over the map</span>}
        </caption>
        <thead>
          <tr>
            <td />
            <th scope="col" class="spoken">
              channel
            </th>
            <td />
            <th scope="col">{decides ? "brings" : ""}</th>
            <th scope="col">activation</th>
          </tr>
        </thead>
        <tbody>
          {plus.map(row)}
          {others > 0 && (
            <tr class="rest">
              <td />
              <th scope="row" class="quiet">
                {others} more between
              </th>
              <td />
              <td class="number quiet">{decides && signedPoints(answer.between)}</td>
              <td />
            </tr>
          )}
          {minus.map(row)}
          {decides && (
            <tr class="rest">
              <td />
              <th scope="row" class="quiet">
                no channel, such as biases
              </th>
              <td />
              <td class="number quiet">{signedPoints(answer.rest)}</td>
              <td />
            </tr>
          )}
        </tbody>
      </table>
    </section>
  );
}
