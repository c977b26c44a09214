// The calls that make what is shown.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { model, photo, target } from "../../state/store";
import type { Channels } from "../../wire/types";
import { pythonTarget } from "../../words/code";
import { USUAL, type WeightsOfImage } from "./Weights";

export function useChannelsCode(answer: Channels | null): void {
  useEffect(() => {
    if (!answer || !photo.value || !model.value) return;
    const asked = pythonTarget(target.value, answer.asked);
    const named = target.value ? ` --target ${JSON.stringify(target.value)}` : "";
    if (answer.score === null) {
      code.value = { python: `foveal.channels(model, [${photo.value.source}], layer="${answer.layer}")`, command: "" };
      return;
    }
    code.value = {
      python: `foveal.explain(model, ${photo.value.source}${asked ? `, ${asked}` : ""}, method="hirescam", layer="${answer.layer}")`,
      command: `foveal explain ${photo.value.source} --model ${model.value.source}${named} --method hirescam --layer ${answer.layer}`,
      seconds: answer.seconds,
    };
  }, [answer]);
}

export function useChannelCode(layer: string, channel: number, steps: number, weights: WeightsOfImage): void {
  useEffect(() => {
    const changed = (Object.keys(USUAL) as (keyof WeightsOfImage)[]).filter((one) => weights[one] !== USUAL[one]).map((one) => `${one}=${weights[one]}`);
    const held = changed.length ? `, objective_weights=foveal.featurevis.ObjectiveWeights(${changed.join(", ")})` : "";
    code.value = { python: `foveal.visualize(model, target=foveal.Neuron("${layer}", ${channel}), steps=${steps}${held})`, command: "" };
  }, [layer, channel, steps, weights]);
}
