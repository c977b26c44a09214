// The parts by rank: how active (ink), and what they add to the score (color).
import { hover, isHovered } from "../../state/store";
import type { Place } from "../../draw/places";
import { fieldOf } from "../../wire/map";
import type { Parts, RankedPart } from "../../wire/types";
import { percent, raw } from "../../words/numbers";
import { fine, scoreWord } from "../../words/tree";

interface Props {
  answer: Parts;
  chosen: number;
  onChoose: (rank: number) => void;
}

/** Where a part is at least half as active as at its most active position. */
export function placeOf(part: RankedPart): Place {
  const { values } = fieldOf(part.map);
  const level = Math.max(...values) / 2;
  const cells = [...values.keys()].filter((cell) => values[cell]! > level);
  return { number: part.rank, against: false, level, cells, sum: part.evidence, share: 1, area: cells.length / values.length };
}

export function Ranks({ answer, chosen, onChoose }: Props) {
  const active = Math.max(...answer.parts.map((part) => part.activity), 1e-9);
  const most = Math.max(...answer.parts.map((part) => Math.abs(part.evidence)), Math.abs(answer.remainder), 1e-9);
  return (
    <section class="ranks">
      <table>
        <caption>
          <b>Ranked by activity</b> <span class="quiet">in {answer.layer}</span>
        </caption>
        <thead>
          <tr>
            <th scope="col">part</th>
            <th scope="col">positions like it</th>
            <th scope="col" colSpan={2}>
              activity
            </th>
            <th scope="col" colSpan={2}>
              adds to the {scoreWord(answer)}
            </th>
          </tr>
        </thead>
        <tbody>
          {answer.parts.map((part) => (
            <tr class={isHovered("place", part.rank) ? "same" : ""} {...hover("place", part.rank)}>
              <th scope="row">
                <button type="button" class="plain" aria-pressed={chosen === part.rank} aria-label={`Show part ${part.rank}`} onClick={() => onChoose(part.rank)}>
                  {part.rank}
                </button>
              </th>
              <td class="number">{percent(part.positions / answer.total)}</td>
              <td class="track" aria-hidden="true">
                <i class="bar" style={{ width: `${(100 * part.activity) / active}%` }} />
              </td>
              <td class="number">{raw(part.activity)}</td>
              <td class="track" aria-hidden="true">
                <i class={`claim ${part.evidence < 0 ? "against" : "for"}`} style={{ width: `${(100 * Math.abs(part.evidence)) / most}%` }} />
              </td>
              <td class={`number ${part.evidence < 0 ? "against" : "for"}`}>{fine(part.evidence, true)}</td>
            </tr>
          ))}
          {!answer.own && <Rest title="positions of no part" value={answer.remainder} />}
          <Rest title={answer.own ? "biases" : "biases, and what is not linear"} value={answer.offset} />
          <tr class="sum">
            <th scope="row" colSpan={5}>
              {scoreWord(answer)}
            </th>
            <td class="number">{fine(answer.score)}</td>
          </tr>
        </tbody>
      </table>
    </section>
  );
}

function Rest({ title, value }: { title: string; value: number }) {
  return (
    <tr class="rest">
      <th scope="row" class="quiet" colSpan={5}>
        {title}
      </th>
      <td class="number quiet">{fine(value, true)}</td>
    </tr>
  );
}
