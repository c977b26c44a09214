// A claim in color above what was measured in ink, on one scale from zero.
import { points } from "../../../words/numbers";

export function Measured({ claimed, cost, noun }: { claimed: number; cost: number | null; noun: string }) {
  const low = Math.min(0, claimed, cost ?? 0);
  const high = Math.max(0, claimed, cost ?? 0, low + 1e-9);
  const at = (value: number) => (100 * (value - low)) / (high - low);
  const span = (value: number) => ({ left: `${Math.min(at(0), at(value))}%`, width: `${Math.abs(at(value) - at(0))}%` });
  return (
    <table class="estimates">
      <caption>
        <b>What they bring</b> <span class="quiet">in points of {noun}</span>
      </caption>
      <tbody>
        <tr>
          <th scope="row">by the gradient</th>
          <td class="track" aria-hidden="true">
            <i class="zero" style={{ left: `${at(0)}%` }} />
            <i class={`claim ${claimed < 0 ? "against" : "for"}`} style={span(claimed)} />
          </td>
          <td class={`number ${claimed < 0 ? "against" : "for"}`}>{points(claimed, true)}</td>
        </tr>
        <tr>
          <th scope="row">measured</th>
          <td class="track" aria-hidden="true">
            <i class="zero" style={{ left: `${at(0)}%` }} />
            {cost !== null && (
              <>
                <i class="ink" style={span(cost)} />
                <i class="end" style={{ left: `${at(cost)}%` }} />
              </>
            )}
          </td>
          <td class="number strong">{cost === null ? "no number" : points(cost, true)}</td>
        </tr>
      </tbody>
    </table>
  );
}
