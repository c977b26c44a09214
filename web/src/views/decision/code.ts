// The call that makes what is shown.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { library, methodName, model, photo, target } from "../../state/store";
import type { Decision } from "../../wire/types";
import { pythonTarget } from "../../words/code";
import { finerOf } from "./finer";

/** Methods that are verbs of their own. */
const VERBS: Record<string, string> = { naflow: "flow", parts: "parts" };

/** `mode="project"`, `mass=0.9`; a photo as Python names it. */
function pythonOption(text: string): string {
  const shown = /=photo-(\w+)$/.exec(text);
  const source = shown && library.value?.photos.find((one) => one.hash === shown[1])?.source;
  return source ? text.replace(shown[0], `=${source}`) : text.replace(/=([a-z_]+)$/, '="$1"');
}

export function useCode(answer: Decision | null, layer: number): void {
  useEffect(() => {
    if (!answer || !photo.value || !model.value) {
      code.value = null; // no single call hides what was painted, or switches channels off
      return;
    }
    const at = answer.layers[layer]!;
    const target_ = pythonTarget(target.value, answer.asked);
    const named = target.value ? ` --target ${JSON.stringify(target.value)}` : "";
    const verb = VERBS[methodName.value.split(":")[0]!];
    if (verb) {
      const options = (methodName.value.split(":")[1] ?? "").split(",").filter(Boolean).map(pythonOption);
      const given = [photo.value.source, target_, ...options].filter(Boolean).join(", ");
      code.value = { python: `foveal.${verb}(model, ${given})`, command: "", seconds: answer.seconds };
      return;
    }
    const finer = finerOf();
    const options = finer ? `, resolution=${finer.resolution}, scales=[${finer.scales.join(", ")}]` : "";
    const flags = finer ? ` --resolution ${finer.resolution} --scales ${finer.scales}` : "";
    code.value = {
      python: `foveal.explain(model, ${photo.value.source}${target_ ? `, ${target_}` : ""}, method="${methodName.value}", layer="${at}"${options})`,
      command: target.value.startsWith("own:") ? "" : `foveal explain ${photo.value.source} --model ${model.value.source}${named} --method ${methodName.value} --layer ${at}${flags}`,
      seconds: answer.seconds,
    };
  }, [answer, layer, target.value, methodName.value]);
}
