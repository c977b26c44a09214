// The numbers of the embedding that make two photos alike, by their share.
import { hover, isHovered } from "../../state/store";
import type { Matched } from "../../wire/types";
import { percent } from "../../words/numbers";

const MOST = 5;

export function Channels({ answer }: { answer: Matched }) {
  const shown = answer.channels.slice(0, MOST);
  const most = Math.max(...shown.map((one) => Math.abs(one.share)), 1e-12);
  return (
    <section class="saychannels">
      <table>
        <caption>
          <b>Channels that say so</b>{" "}
          <span class="quiet">
            about {Math.round(answer.carriers)} of {answer.numbers} carry the {answer.distance ? "distance" : "similarity"}
          </span>
        </caption>
        <tbody>
          {shown.map(({ index, share }) => {
            const side = share < 0 ? "against" : "for";
            return (
              <tr class={isHovered("channel", index) ? "same" : ""} {...hover("channel", index)}>
                <th scope="row">channel {index}</th>
                <td class="track" aria-hidden="true">
                  <i class={`claim ${side}`} style={{ width: `${(100 * Math.abs(share)) / most}%` }} />
                </td>
                <td class={`number ${side}`}>{percent(share)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <p class="quiet small">Share of all that the channels of the embedding add and take away.</p>
    </section>
  );
}
