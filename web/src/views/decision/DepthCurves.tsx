// Under the thumbnails: the evidence at each stage, the score with only the neurons that take part, and how many do.
import { useRef, useState } from "preact/hooks";
import { useWidth } from "../../controls/width";
import { Waiting } from "../../controls/Waiting";
import type { Asked } from "../../state/answers";
import type { Depth } from "../../wire/altered";
import type { Decision } from "../../wire/types";
import { percent, points } from "../../words/numbers";
import { inPoints } from "../../words/units";

interface Props {
  answer: Decision;
  asked: Asked<Depth>;
  noun: string;
}

const [HIGH, GAP, STOP] = [64, 10, 104];

export function DepthCurves({ answer, asked, noun }: Props) {
  const home = useRef<HTMLDivElement>(null);
  const width = useWidth(home, 480);
  const [told, tell] = useState<string | null>(null);
  const { layers, maps } = answer;
  if (layers.length < 2) return <div ref={home} />;
  const depth = asked.answer && !asked.waiting ? asked.answer : null;
  const stages = layers.map((layer) => depth?.stages.find((stage) => stage.layer === layer) ?? null);
  const evidence = inPoints(answer.method) ? maps.map((map) => map.total) : null;
  const measured = stages.map((stage) => stage?.measured ?? null);
  if (!evidence && !depth && !asked.waiting) return <div ref={home} />;
  const values = [...(evidence ?? []), ...measured.filter((value): value is number => value !== null), ...(depth ? [depth.score] : [])];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const column = (width + GAP) / layers.length;
  const x = (i: number) => i * column + Math.min(STOP, column - GAP) / 2;
  const y = (value: number) => 18 + ((high - value) / (high - low || 1)) * (HIGH - 32);
  const words = {
    evidence: `The sum of the map at each stage, in points of ${noun}. Where it differs from the score, biases after the stage bring the rest.`,
    measured: `${noun[0]!.toUpperCase()}${noun.slice(1)} with all other neurons of the stage set to zero, by running the network: where it stays at ${depth ? points(depth.score) : "the score"}, the neurons that take part are enough.`,
    used: `The share of a stage's neurons that ${noun} depends on at all: those that are active and have a gradient. ${(depth?.notes ?? []).join(" ")}`,
  };
  const label = (what: keyof typeof words, text: string, top: number, kind = "") => (
    <button
      type="button"
      class={`link curve-label ${kind}`}
      style={{ top: `${top}px` }}
      onPointerEnter={() => tell(words[what])}
      onPointerLeave={() => tell(null)}
      onFocus={() => tell(words[what])}
      onBlur={() => tell(null)}
      onClick={() => tell(words[what])}
    >
      {text}
    </button>
  );
  return (
    <div class="depth-curves" ref={home}>
      <svg width={width} height={HIGH} role="img" aria-label={spoken(answer, evidence, stages, noun)}>
        {depth && <line class="whole" x1="0" x2={width} y1={y(depth.score)} y2={y(depth.score)} />}
        {evidence && <path class="evidence" d={`M${evidence.map((value, i) => `${x(i)} ${y(value)}`).join("L")}`} />}
        {evidence?.map((value, i) => (
          <>
            <circle class="evidence" cx={x(i)} cy={y(value)} r="3.5" />
            <text class="for" x={x(i) + 8} y={y(value) + (value < (depth?.score ?? value) ? 16 : -6)}>
              {points(value)}
            </text>
          </>
        ))}
        {measured.map((value, i) => value !== null && <circle class="ring" cx={x(i)} cy={y(value)} r="4" />)}
      </svg>
      {depth && (
        <p class="used">
          {stages.map((stage, i) => (
            <span style={{ left: `${x(i)}px` }}>{stage ? percent(stage.kept) : ""}</span>
          ))}
        </p>
      )}
      <div class="curve-labels">
        {evidence && label("evidence", "evidence", 2, "for")}
        {depth && label("measured", `${points(depth.score)} measured`, 24)}
        {depth && label("used", "of neurons used", HIGH + 2)}
      </div>
      <p class="read" aria-live="polite">
        {told ?? "\u00a0"}
      </p>
      <Waiting asked={asked} what="Which neurons take part at each stage" />
    </div>
  );
}

function spoken(answer: Decision, evidence: readonly number[] | null, stages: readonly (Depth["stages"][number] | null)[], noun: string): string {
  return answer.layers
    .map((layer, i) => {
      const stage = stages[i];
      const parts = [
        evidence && `evidence ${points(evidence[i]!)}`,
        stage?.measured != null && `${noun} with only the neurons that take part ${points(stage.measured)}`,
        stage && `${percent(stage.kept)} of neurons used`,
      ].filter(Boolean);
      return `${layer}: ${parts.join(", ") || "not measured yet"}`;
    })
    .join("; ");
}
