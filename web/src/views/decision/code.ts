// The call that makes what is shown.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { methodName, model, photo, target } from "../../state/store";
import type { Decision } from "../../wire/types";
import { pythonTarget } from "../../words/code";

export function useCode(answer: Decision | null, layer: number): void {
  useEffect(() => {
    if (!answer || !photo.value || !model.value) return;
    const at = answer.layers[layer]!;
    const target_ = pythonTarget(target.value, answer.asked);
    const named = target.value ? ` --target ${JSON.stringify(target.value)}` : "";
    code.value = {
      python: `foveal.explain(model, ${photo.value.source}${target_ ? `, ${target_}` : ""}, method="${methodName.value}", layer="${at}")`,
      command: target.value.startsWith("own:") ? "" : `foveal explain ${photo.value.source} --model ${model.value.source}${named} --method ${methodName.value} --layer ${at}`,
      seconds: answer.seconds,
    };
  }, [answer, layer, target.value, methodName.value]);
}
