// The call that makes the parts that are shown.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { model, photo, target } from "../../state/store";
import type { Parts } from "../../wire/types";
import { pythonTarget } from "../../words/code";

export function useCode(answer: Parts | null, query: Record<string, string | number>): void {
  useEffect(() => {
    if (!answer || !photo.value || !model.value) return;
    const asked = pythonTarget(target.value, answer.asked);
    const image = photo.value.source;
    const named = target.value ? ` --target ${JSON.stringify(target.value)}` : "";
    const options = answer.own ? "" : `, count=${query["count"]}, resolution=${query["resolution"]}${query["layer"] ? `, layer="${query["layer"]}"` : ""}`;
    const flags = answer.own ? "" : ` --count ${query["count"]} --resolution ${query["resolution"]}${query["layer"] ? ` --layer ${query["layer"]}` : ""}`;
    code.value = {
      python: `foveal.parts(model, ${image}${asked ? `, ${asked}` : ""}${options})`,
      command: `foveal parts ${image} --model ${model.value.source}${named}${flags}`,
      seconds: answer.seconds,
    };
  }, [answer, JSON.stringify(query)]);
}
