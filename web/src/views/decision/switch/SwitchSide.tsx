// Channels switched off or scaled: what the map claims they bring, and what the network says without them.
import { useMemo } from "preact/hooks";
import { ScoreTable } from "../../../controls/ScoreTable";
import { useNewest } from "../../../state/newest";
import { placesOf } from "../../../draw/places";
import { fieldOf } from "../../../wire/map";
import type { Switch, Switched } from "../../../wire/altered";
import type { Decision, Scores } from "../../../wire/types";
import { count, points } from "../../../words/numbers";
import { changeWords, scoreNoun, unchanged } from "../../../words/scores";
import { ChannelList } from "./ChannelList";
import { Measured } from "./Measured";
import { at, factor, finishSwitch, scale, switched, where, type Run } from "./state";
import { WherePicker, whereWords } from "./WherePicker";

interface Props {
  on: { photo: string; model: string; target: string };
  answer: Decision;
  scores: Scores | null;
  /** The decision with nothing switched off. */
  asIs: Decision | null;
}

export function SwitchSide({ on, answer, scores, asIs }: Props) {
  const number = asIs?.layers.indexOf(at.value) ?? -1;
  const field = useMemo(() => (number >= 0 ? fieldOf(asIs!.maps[number]!) : null), [asIs, number]);
  const places = useMemo(() => (field ? placesOf(field) : []), [field]);
  const now = switched.value;
  const { answer: said, query, problem } = useNewest<Switched, { switch: Switch }>("switched", now ? { ...on, switch: now } : null);
  const noun = scoreNoun(answer, on.target, scores?.kind);
  const before = new Map(scores?.classes.map((one) => [one.index, one.score ?? 0]));
  const result = now ? said : null;
  const off = query?.switch;
  return (
    <>
      <p class="answer" id="answer" aria-live="polite">
        {off && result ? (
          <>
            <b>
              With {nameOf(off.channels)} {off.factor ? `times ${off.factor}` : "off"} {whereWords((off.runs as Run[] | null | undefined) ?? null, field, places)}: {noun}{" "}
              {changeWords(result.whole, result.score)}.
            </b>{" "}
            {agreement(result)} The map is that of what is left.
          </>
        ) : (
          <>
            <b>Choose channels of {at.value}</b> to switch off. Those that bring most {whereWords(where.value, field, places)} are listed.
          </>
        )}
      </p>
      {problem && <p class="problem" role="alert">{problem}</p>}
      {result && <Measured claimed={result.claimed} cost={result.score === null ? null : result.whole - result.score} noun={noun} />}
      {scores && <ScoreTable classes={result?.classes.of ? result.classes.highest : scores.classes} of={scores.classes.length} kind={scores.kind} asked={answer.asked} before={result ? before : undefined} heading={result ? "the stroke is where they were" : undefined} />}
      <section class="switch">
        <h2>Switch off a part of {at.value}</h2>
        <div class="controls">
          <WherePicker field={field} places={places} />
          <label class="factor">
            <span>times</span>
            <input
              type="range"
              min="0"
              max="2"
              step="0.1"
              value={factor.value}
              aria-label="What the channels are multiplied by"
              aria-valuetext={factor.value ? `times ${factor.value}` : "off"}
              onInput={(event) => scale(Number(event.currentTarget.value))}
            />
            <span class="number">{factor.value ? factor.value.toFixed(1) : "0, off"}</span>
          </label>
          <button type="button" onClick={finishSwitch}>
            Done <kbd>Esc</kbd>
          </button>
        </div>
        <ChannelList on={on} />
      </section>
    </>
  );
}

function nameOf(channels: readonly number[]): string {
  if (!channels.length) return "everything";
  return channels.length === 1 ? `channel ${channels[0]}` : channels.length <= 3 ? `channels ${channels.slice(0, -1).join(", ")} and ${channels.at(-1)}` : count(channels.length, "channel");
}

/** Whether what the gradient foretold came true. */
function agreement({ claimed, whole, score }: Switched): string {
  if (score === null) return "";
  const cost = whole - score;
  if (unchanged(whole, score) && Math.abs(claimed) < 0.05 * Math.abs(whole)) return "The gradient foretold as little.";
  const ratio = claimed / cost;
  if (ratio > 0.8 && ratio < 1.25) return `That is what the gradient foretold: ${points(claimed)}.`;
  if (claimed * cost < 0) return `The gradient foretold the opposite: ${points(-claimed, true)}.`;
  return `The gradient foretold ${points(-claimed, true)}, the network changes by ${points(-cost, true)}.`;
}
