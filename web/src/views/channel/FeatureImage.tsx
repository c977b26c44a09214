// The image that the channel answers to most, in the making: watch, pause, stop and keep.
import { useState } from "preact/hooks";
import { keepGrown, useBouts } from "../../state/bouts";
import { model, transport } from "../../state/store";
import { keyOf } from "../../state/transport";
import type { FeatureFrame } from "../../wire/types";
import { raw } from "../../words/numbers";
import { Weights, USUAL, type WeightsOfImage } from "./Weights";
import { useChannelCode } from "./code";

const STEPS = 160;

interface Props {
  layer: string;
  channel: number;
  /** The largest activation in the photos. */
  most: number | undefined;
}

export function FeatureImage({ layer, channel, most }: Props) {
  const [weights, setWeights] = useState<WeightsOfImage>(USUAL);
  const query = { model: model.value!.name, layer, channel, steps: STEPS, ...weights };
  const [going, setGoing] = useState(false);
  const [stopped, setStopped] = useState(false);
  const [open, setOpen] = useState(false);
  const made = useBouts<FeatureFrame>("feature_image", query, (frame) => (frame?.finished ? null : { done: frame?.done ?? 0 }), going);
  const frame = made.answer;
  useChannelCode(layer, channel, STEPS, weights);
  const stop = async () => {
    setGoing(false);
    const best = await transport.value.ask<FeatureFrame>("feature_image", { ...query, done: frame?.done ?? 0, stop: true }, new AbortController().signal);
    keepGrown(keyOf("feature_image", query), best);
    setStopped(true);
  };
  const go = () => {
    setStopped(false);
    setGoing(true);
  };
  const finished = frame?.finished;
  return (
    <section class="making">
      <h2>
        Feature image <span class="quiet">{frame ? (finished ? `finished after ${frame.done} steps` : stopped ? `kept at ${frame.done} of ${frame.total}` : `${frame.done} of ${frame.total}`) : "what it answers to most"}</span>
      </h2>
      {frame ? (
        <>
          <img class="made" src={frame.image} alt={`An image made for channel ${channel} of ${layer}`} />
          <progress value={frame.done} max={frame.total} aria-label="Steps" />
        </>
      ) : (
        <div class="made blank">{going ? "preparing …" : "Made from noise, step by step, so that the channel answers as much as it can."}</div>
      )}
      {made.problem && <p class="problem" role="alert">{made.problem}</p>}
      <div class="controls">
        {!finished &&
          (going ? (
            <button type="button" onClick={() => setGoing(false)}>
              Pause
            </button>
          ) : (
            <button type="button" onClick={go}>
              {frame ? "Go on" : "Make it"}
            </button>
          ))}
        {frame && !finished && !stopped && (
          <button type="button" onClick={() => void stop()}>
            Stop and keep
          </button>
        )}
        <Weights
          open={open}
          onOpen={setOpen}
          weights={weights}
          onChange={(next) => {
            setStopped(false);
            setWeights(next);
          }}
        />
      </div>
      {frame && (
        <p class="hint">
          The channel reaches {raw(frame.peak)} in it{most ? `; in your photos ${raw(most)} at most` : ""}.
        </p>
      )}
    </section>
  );
}
