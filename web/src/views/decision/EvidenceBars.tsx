// One place on one scale: what the map claims, in color; what hiding it costs, in ink; what hiding it elsewhere costs.
import type { Measurement } from "./measurement";

interface Props {
  /** Sums of the map: for, against. */
  claims: readonly number[];
  measured?: Measurement | null;
  /** The range of the claims, and that of the costs; the same where both are in points of the score. */
  claimed: readonly [number, number];
  costs: readonly [number, number];
}

export function EvidenceBars({ claims, measured, claimed, costs }: Props) {
  const at = (value: number, [low, high]: readonly [number, number]) => (100 * (value - low)) / (high - low);
  const span = (a: number, b: number, range: readonly [number, number]) => ({
    left: `${Math.min(at(a, range), at(b, range))}%`,
    width: `${Math.abs(at(a, range) - at(b, range))}%`,
  });
  return (
    <td class="track evidence-bars" aria-hidden="true">
      <i class="zero" style={{ left: `${at(0, claimed)}%` }} />
      {claims.map((claim) => claim !== 0 && <i class={`claim ${claim < 0 ? "against" : "for"}`} style={span(0, claim, claimed)} />)}
      {measured?.cost != null && (
        <>
          <i class="ink" style={span(0, measured.cost, costs)} />
          <i class="end" style={{ left: `${at(measured.cost, costs)}%` }} />
        </>
      )}
      {measured?.median != null && (
        <>
          <i class="worst" style={span(measured.median, measured.worst!, costs)} />
          <i class="ring" style={{ left: `${at(measured.median, costs)}%` }} />
        </>
      )}
    </td>
  );
}
