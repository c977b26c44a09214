// The rows that are selected, as Python names them.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import type { Choice } from "./choice";
import type { AtlasData } from "./data";

export function useAtlasCode(data: AtlasData, choice: Choice, points: Int32Array): void {
  useEffect(() => {
    code.value = { python: pythonOf(data, choice, points), command: "" };
  }, [data, choice, points]);
}

/** `run = foveal.Run.load("run/").explained; run[run["predicted"] == "jay"]`; `run` where only some of its rows are shown. */
export function pythonOf(data: AtlasData, choice: Choice, points: Int32Array): string {
  const { folder, whole, grouped } = data.answer;
  const load = whole ? `foveal.Run.load(${JSON.stringify(folder)})` : "run";
  if (choice.outcome === "failed") return `${load}.failed`;
  const masks = masksOf(data, choice);
  if (choice.group !== null && !choice.area && !masks.length)
    return `${grouped ? `reasons = foveal.reasons(${load}, model); ` : ""}reasons.run[reasons.groups[${choice.group}].rows]`;
  if (choice.group !== null || choice.area) return `${load}[[${Array.from(points, (point) => data.rows[point]).join(", ")}]]`;
  if (!masks.length) return `${load}.explained`;
  return `run = ${load}.explained; run[${masks.length === 1 ? masks[0] : masks.map((mask) => `(${mask})`).join(" & ")}]`;
}

function masksOf(data: AtlasData, { predicted, label, outcome, ranges }: Choice): string[] {
  const column = (name: string) => `run[${JSON.stringify(name)}]`;
  const partly = outcome === "wrong" && data.right?.includes(-1);
  return [
    ...(predicted === undefined ? [] : [`${column("predicted")} == ${JSON.stringify(predicted)}`]),
    ...(label === undefined ? [] : [`${column("label")} == ${JSON.stringify(label)}`]),
    ...(outcome ? [`${column("predicted")} ${outcome === "right" ? "==" : "!="} ${column("label")}`] : []),
    ...(partly ? [`${column("label")} != None`] : []),
    ...ranges.flatMap(({ column: name, low, high }) => [...(low === null ? [] : [`${column(name)} >= ${low}`]), ...(high === null ? [] : [`${column(name)} <= ${high}`])]),
  ];
}
