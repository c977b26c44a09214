// How many parts, and how much finer than the layer's own map; a network that decides by parts has its own.
import { OtherLayer } from "../../controls/OtherLayer";
import { Segmented } from "../../controls/Segmented";
import { address, go } from "../../state/address";
import { transport } from "../../state/store";
import type { Parts } from "../../wire/types";

const FINER = [
  { value: "1", title: "Own", hint: "positions of the layer" },
  { value: "2", title: "2 × finer" },
  { value: "4", title: "4 × finer" },
];

export function Controls({ answer }: { answer: Parts | null }) {
  if (!answer || answer.own || !transport.value.live) return null;
  const { count = "3", resolution = "1" } = address.value as Record<string, string | undefined>;
  return (
    <div class="controls">
      <label class="ranged">
        <span>Parts</span>
        <input
          type="range"
          min="1"
          max="8"
          step="1"
          value={count}
          onInput={(event) => go({ count: event.currentTarget.value === "3" ? undefined : event.currentTarget.value }, "same")}
        />
        <output>{count}</output>
      </label>
      <OtherLayer />
      <Segmented label="Resolution" options={FINER} value={resolution} onChange={(next) => go({ resolution: next === "1" ? undefined : next })} />
    </div>
  );
}
