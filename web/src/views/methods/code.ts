// The calls that make what is shown.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { photo } from "../../state/store";
import { pythonTarget } from "../../words/code";
import type { Column } from "./choice";
import type { Block } from "./useGrid";

export function useCode(block: Block, columns: readonly Column[]): void {
  const { model, layers, on } = block;
  const asked = block.comparison.answer?.methods.find((one) => one.decision?.asked.length)?.decision?.asked;
  const names = (place: string) => columns.filter((one) => one.entry.place === place).map((one) => one.name);
  const [layered, input] = [names("last stage"), names("input")];
  const python = pythonTarget(on.target, asked);
  const call = (methods: string[], more = "") =>
    methods.length ? `foveal.compare(model, ${photo.value!.source}${python ? `, ${python}` : ""}, methods=${JSON.stringify(methods)}${more})` : "";
  const calls = [call(layered, `, layer=${JSON.stringify(layers)}`), call(input)].filter(Boolean).join("\n");
  const target = on.target && !on.target.startsWith("own:") ? ` --target ${JSON.stringify(on.target)}` : "";
  const command = on.target.startsWith("own:")
    ? ""
    : `foveal compare ${photo.value!.source} --model ${model.source}${target} --method ${columns.map((one) => one.name).join(",")}`;
  const seconds = block.comparison.answer?.seconds;
  useEffect(() => {
    if (!layers.length) return;
    code.value = { python: calls, command, ...(seconds === undefined ? {} : { seconds }) };
  }, [calls, command, seconds]);
}
