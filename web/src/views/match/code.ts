// The call that makes what is shown.
import { code } from "../../app/Footer";
import { address } from "../../state/address";
import { model } from "../../state/store";
import type { PhotoEntry } from "../../wire/types";
import { by, metric } from "./state";

/** A match, or what sets `other` apart from `than`. */
export function showCode(one: PhotoEntry, other: PhotoEntry, than: PhotoEntry | null, lines: number | null, seconds?: number): void {
  if (!model.value) return;
  const references = than ? `[${other.source}, ${than.source}]` : other.source;
  const [method, weights] = than ? ["fam", "linear"] : split(by.value);
  const compared = metric.value === "cosine" ? "" : `metric="${metric.value}"`;
  const fam = method === "fam";
  const layer = than ? "" : (address.value.of ?? "");
  const options = [compared, weights === "contribution" ? "" : `weights="${weights}"`, lines === null ? "" : `lines=${lines}`, layer && `layer="${layer}"`];
  const rest = options.filter(Boolean).map((option) => `, ${option}`).join("");
  const similar = `foveal.Similar(${references}${compared && `, ${compared}`})`;
  code.value = {
    python: fam
      ? `pair = foveal.match(model, ${one.source}, ${references}${rest})${than ? "; pair.query_maps[0, 0] - pair.query_maps[0, 1]" : ""}`
      : `foveal.explain(model, ${one.source}, ${similar}, method="${by.value}"${layer && `, layer="${layer}"`})`,
    command: [
      "foveal match",
      one.source,
      other.source,
      than?.source,
      `--model ${model.value.source}`,
      compared && `--metric ${metric.value}`,
      weights !== "contribution" && fam && `--weights ${weights}`,
      lines !== null && `--lines ${lines}`,
      layer && `--layer ${layer}`,
    ].filter(Boolean).join(" "),
    seconds,
  };
}

function split(method: string): [string, string] {
  const [name = "", option = ""] = method.split(":");
  return [name, name === "fam" ? option.replace("weights=", "") || "contribution" : "contribution"];
}
