// The channels that bring most there; each can be chosen, and any other by its number.
import { useState } from "preact/hooks";
import { Waiting } from "../../../controls/Waiting";
import { useAnswer } from "../../../state/answers";
import { hover, isHovered } from "../../../state/store";
import type { Brings } from "../../../wire/altered";
import { count, points } from "../../../words/numbers";
import { at, choose, chosen, where } from "./state";

export function ChannelList({ on }: { on: { photo: string; model: string; target: string } }) {
  const asked = useAnswer<Brings>("brings", { ...on, layer: at.value, runs: where.value, most: 8 });
  const [other, setOther] = useState("");
  const { answer } = asked;
  if (!answer) return <Waiting asked={asked} what="The channels that bring most" />;
  const now = chosen.value;
  const listed = answer.channels.map((one) => one.channel);
  const more = now === "all" ? [] : now.filter((one) => !listed.includes(one));
  const most = Math.max(...answer.channels.map((one) => Math.abs(one.brings)), 1e-12);
  const has = (channel: number) => now === "all" || now.includes(channel);
  const toggle = (channel: number) => {
    const before = now === "all" ? listed : now;
    choose(before.includes(channel) ? before.filter((one) => one !== channel) : [...before, channel]);
  };
  const number = Number(other);
  const right = other !== "" && Number.isInteger(number) && number >= 0 && number < answer.of;
  return (
    <div class={`bringing${asked.waiting ? " old" : ""}`}>
      <table>
        <caption class="quiet">
          What channels bring{where.value ? " there" : ""}, by the gradient; all {answer.of.toLocaleString("en")} together {points(answer.total, true)}
        </caption>
        <tbody>
          {answer.channels.map((one) => (
            <tr class={isHovered("channel", `${at.value}/${one.channel}`) ? "same" : ""} {...hover("channel", `${at.value}/${one.channel}`)}>
              <th scope="row">
                <label>
                  <input type="checkbox" checked={has(one.channel)} onChange={() => toggle(one.channel)} /> channel {one.channel}
                </label>
              </th>
              <td class="track" aria-hidden="true">
                <i class={`claim ${one.brings < 0 ? "against" : "for"}`} style={{ width: `${(100 * Math.abs(one.brings)) / most}%` }} />
              </td>
              <td class={`number ${one.brings < 0 ? "against" : "for"}`}>{points(one.brings, true)}</td>
            </tr>
          ))}
          {more.map((channel) => (
            <tr>
              <th scope="row">
                <label>
                  <input type="checkbox" checked onChange={() => toggle(channel)} /> channel {channel}
                </label>
              </th>
              <td />
              <td />
            </tr>
          ))}
        </tbody>
      </table>
      <form
        class="controls"
        onSubmit={(event) => {
          event.preventDefault();
          if (!right) return;
          if (!has(number)) toggle(number);
          setOther("");
        }}
      >
        <label>
          <span class="spoken">Another channel</span>
          <input type="number" min="0" max={answer.of - 1} placeholder="channel" value={other} onInput={(event) => setOther(event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={!right}>
          Add
        </button>
        {where.value && (
          <button type="button" aria-pressed={now === "all"} onClick={() => choose(now === "all" ? [] : "all")}>
            All {count(answer.of, "channel")} there
          </button>
        )}
      </form>
    </div>
  );
}
