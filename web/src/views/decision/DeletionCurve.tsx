// The score while the photo disappears, the strongest positions first; the point moves with the legend.
import { useMemo, useRef } from "preact/hooks";
import { useWidth } from "../../controls/width";
import { Waiting } from "../../controls/Waiting";
import { areaFrom } from "../../draw/area";
import { ticks } from "../../draw/ticks";
import type { Asked } from "../../state/answers";
import type { Deletion } from "../../wire/altered";
import type { Field } from "../../wire/map";
import { percent, points } from "../../words/numbers";
import { changeWords } from "../../words/scores";

interface Props {
  asked: Asked<Deletion>;
  field: Field;
  /** Where color begins. */
  from: number;
  noun: string;
}

const [HIGH, LEFT, RIGHT, TOP, FOOT] = [120, 36, 12, 10, 22];

export function DeletionCurve({ asked, field, from, noun }: Props) {
  const home = useRef<HTMLDivElement>(null);
  const width = useWidth(home);
  const shown = useMemo(() => areaFrom(field, from), [field, from]);
  const curve = asked.answer && !asked.waiting ? asked.answer : null;
  const known = (values: readonly (number | null)[]) => values.filter((value): value is number => value !== null);
  const all = curve ? [...known(curve.scores), ...known(curve.chance), 0] : [0, 1];
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const x = (share: number) => LEFT + share * (width - LEFT - RIGHT);
  const y = (score: number) => TOP + ((high - score) / (high - low || 1)) * (HIGH - TOP - FOOT);
  const line = (values: readonly (number | null)[]) =>
    values.flatMap((value, i) => (value === null ? [] : [`${x(curve!.shares[i]!).toFixed(1)} ${y(value).toFixed(1)}`])).join("L");
  const here = curve && between(curve.shares, curve.scores, shown.share);
  const words = curve && here !== null && curve.scores[0] != null ? `${percent(shown.share)} of the positions hold ${percent(shown.holds)} of the evidence for. With them hidden, ${noun} ${changeWords(curve.scores[0], here)}.` : "";
  return (
    <section class="deletion" ref={home}>
      <h2>
        Hidden from the strongest on <span class="quiet">{noun}, by the share of positions that are hidden</span>
      </h2>
      {curve && (
        <svg width={width} height={HIGH} role="img" aria-label={`Deletion curve. ${words}`}>
          <line class="axis" x1={LEFT} x2={width - RIGHT} y1={y(0)} y2={y(0)} />
          {ticks(low, high, 3).map((value) => (
            <text class="quiet" x={LEFT - 8} y={y(value) + 4} text-anchor="end">
              {points(value)}
            </text>
          ))}
          {[0, 0.25, 0.5, 0.75, 1].map((share) => (
            <text class="quiet" x={x(share)} y={HIGH - 4} text-anchor={share === 1 ? "end" : "middle"}>
              {percent(share)}
            </text>
          ))}
          <path class="chance" d={`M${line(curve.chance)}`} />
          <path class="ink" d={`M${line(curve.scores)}`} />
          {here !== null && (
            <>
              <line class="axis" x1={x(shown.share)} x2={x(shown.share)} y1={TOP} y2={HIGH - FOOT} />
              <circle class="point" cx={x(shown.share)} cy={y(here)} r="4.5" />
            </>
          )}
        </svg>
      )}
      {curve && (
        <p class="quiet">
          {words} The gray line hides positions in a random order: the further the black one lies below it, the more the map knows.
        </p>
      )}
      <Waiting asked={asked} what="Hiding the strongest positions first" />
    </section>
  );
}

/** Between the steps that were measured. */
function between(shares: readonly number[], scores: readonly (number | null)[], share: number): number | null {
  const next = shares.findIndex((one) => one >= share - 1e-9);
  if (next < 0) return null;
  const [b, a] = [scores[next] ?? null, scores[next - 1] ?? null];
  if (next === 0 || b === null || a === null) return b;
  const t = (share - shares[next - 1]!) / (shares[next]! - shares[next - 1]!);
  return a + t * (b - a);
}
