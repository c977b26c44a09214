// What is shown, by which method, how photos are compared, how many lines, on which scale.
import { OtherLayer } from "../../controls/OtherLayer";
import { Segmented } from "../../controls/Segmented";
import { address, go } from "../../state/address";
import { library, transport } from "../../state/store";
import { by } from "./state";

const FAM = [
  ["fam", "FAM"],
  ["fam:weights=positive", "FAM, channels that add"],
  ["fam:weights=linear", "FAM, sums to the similarity"],
] as const;
const LINES = [0, 10, 20, 40];

interface Props {
  divisible: boolean;
  /** How many lines are drawn. */
  lines: number;
}

export function MatchControls({ divisible, lines }: Props) {
  const apart = address.value.show === "apart";
  const methods = (library.value?.methods ?? []).filter((one) => !one.similarity);
  const wanted = address.value.lines as string | undefined;
  return (
    <div class="controls">
      {divisible && (
        <Segmented
          label="What the maps show"
          options={[
            { value: "shared", title: "What they share" },
            { value: "apart", title: "What sets them apart" },
          ]}
          value={apart ? "apart" : "shared"}
          onChange={(show) => go({ show: show === "apart" ? "apart" : undefined, at: undefined })}
        />
      )}
      {!apart && <OtherLayer />}
      {!apart && library.value?.live && (
        <label class="select">
          <span class="spoken">Method</span>
          <select value={by.value} onChange={(event) => go({ by: event.currentTarget.value === "fam" ? undefined : event.currentTarget.value })}>
            {FAM.map(([value, title]) => (
              <option value={value}>{title}</option>
            ))}
            {methods.map((one) => (
              <option value={one.name} title={one.about}>
                {one.title}
                {one.needs === "forwards" ? " (slow)" : ""}
              </option>
            ))}
          </select>
        </label>
      )}
      {!apart && library.value?.live && (lines > 0 || wanted !== undefined) && (
        <label class="select">
          <span class="spoken">Lines</span>
          <select value={wanted ?? ""} onChange={(event) => go({ lines: event.currentTarget.value || undefined }, "same")}>
            <option value="">8 lines</option>
            {LINES.map((count) => (
              <option value={count}>{count ? `${count} lines` : "No lines"}</option>
            ))}
          </select>
        </label>
      )}
      <label class="select">
        <span class="spoken">Scale of the colors</span>
        <select value={(address.value.scale as string | undefined) ?? ""} onChange={(event) => go({ scale: event.currentTarget.value || undefined }, "same")}>
          <option value="">One scale</option>
          <option value="each">Own scales</option>
        </select>
      </label>
      {!apart && transport.value.live && (
        <button type="button" aria-pressed={address.value.parts === "yes"} onClick={() => go({ parts: address.value.parts ? undefined : "yes" })}>
          Parts of both
        </button>
      )}
    </div>
  );
}
