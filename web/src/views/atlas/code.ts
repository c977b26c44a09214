// What is selected, as Python names it: rows of the run, or of its groups by reason.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import type { Choice } from "./choice";
import type { AtlasData } from "./data";

export function useAtlasCode(data: AtlasData, choice: Choice, points: Int32Array): void {
  useEffect(() => {
    code.value = { python: pythonOf(data, choice, points), command: "" };
  }, [data, choice, points]);
}

/** `run = foveal.Run.load('run/').explained; run[run["predicted"] == "jay"]`; the groups themselves where nothing is selected. */
export function pythonOf(data: AtlasData, choice: Choice, points: Int32Array): string {
  const { load, grouping, groups } = data.answer;
  const grouped = groups.length > 0;
  const [first, run] = grouped ? [grouping === "reasons" ? "" : `reasons = ${grouping}; `, "reasons.run"] : ["", load];
  const masks = masksOf(data, choice);
  if (choice.outcome === "failed") return `${first}${run}.failed`;
  if (choice.area) return `${first}${run}[[${Array.from(points, (point) => data.rows[point]).join(", ")}]]`;
  if (!masks.length) return grouped ? grouping : `${load}.explained`;
  if (masks.length === 1 && grouped && choice.group !== null) return `${first}reasons.run[reasons.groups[${choice.group}].rows]`;
  const mask = masks.length === 1 ? masks[0] : masks.map((one) => `(${one})`).join(" & ");
  return `${first}run = ${grouped ? "reasons.run[reasons.rows]" : `${load}.explained`}; run[${mask}]`;
}

function masksOf(data: AtlasData, { predicted, label, outcome, ranges, group }: Choice): string[] {
  const column = (name: string) => (name === "typical" ? "reasons.typical" : `run[${JSON.stringify(name)}]`);
  const equal = (name: string, value: string | undefined) => (value === undefined ? [] : [`${column(name)} == ${JSON.stringify(value)}`]);
  return [
    ...(group === null || !data.group ? [] : [`reasons.group == ${group}`]),
    ...equal("predicted", predicted),
    ...equal("label", label),
    ...(outcome ? [`${column("predicted")} ${outcome === "right" ? "==" : "!="} ${column("label")}`] : []),
    ...(outcome && data.right?.includes(-1) ? [`${column("label")} != None`] : []),
    ...ranges.flatMap(({ column: name, low, high }) => [...(low === null ? [] : [`${column(name)} >= ${low}`]), ...(high === null ? [] : [`${column(name)} <= ${high}`])]),
  ];
}
