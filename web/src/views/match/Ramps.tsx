// What the colors are worth: one ramp for maps on one scale, else one for each.
import type { Scale } from "../../draw/scale";
import { tables } from "../../state/store";
import { raw } from "../../words/numbers";

export function Ramps({ scales, names }: { scales: readonly Scale[]; names?: readonly string[] }) {
  const same = scales.every((scale) => scale.limit === scales[0]!.limit && scale.sign === scales[0]!.sign);
  return (
    <div class="ramps">
      {(same ? scales.slice(0, 1) : scales).map((scale, i) => (
        <p class="rampline">
          <span class={scale.sign === "signed" ? "against" : "quiet"}>{scale.sign === "signed" ? `against ${raw(-scale.limit)}` : "none"}</span>
          <i style={{ backgroundImage: tables.value?.gradient(scale, "to right") }} />
          <span class={scale.sign === "signed" ? "for" : "quiet"}>
            {scale.sign === "signed" ? "for" : "most"} {raw(scale.limit)}
          </span>
          {!same && names && <span class="quiet">{names[i]}</span>}
        </p>
      ))}
    </div>
  );
}
