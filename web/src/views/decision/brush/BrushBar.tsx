// Look or brush; while brushing: hide or keep, and what stands in the hidden place.
import { Segmented } from "../../../controls/Segmented";
import { go } from "../../../state/address";
import { transport } from "../../../state/store";
import type { FillName } from "../../../wire/altered";
import { brushing, fill, FILLS, finish, keeping, start } from "./state";

export function BrushBar() {
  if (!transport.value.live) return null;
  return (
    <>
      <Segmented
        label="What the pointer does"
        options={[
          { value: "look", title: "Look" },
          { value: "brush", title: "Brush", hint: "Hide or keep a part of the photo (B)" },
        ]}
        value={brushing.value ? "brush" : "look"}
        onChange={(use) => (use === "brush" ? start() : finish())}
      />
      {brushing.value && (
        <>
          <Segmented
            label="What is painted"
            options={[
              { value: "hide", title: "Hide", hint: "What is painted is hidden" },
              { value: "keep", title: "Keep", hint: "Everything else is hidden" },
            ]}
            value={keeping.value ? "keep" : "hide"}
            onChange={(use) => go({ brush: use, left: undefined })}
          />
          <FillMenu />
        </>
      )}
    </>
  );
}

export function FillMenu() {
  return (
    <label class="select">
      <span class="spoken">Filled with</span>
      <select
        value={fill.value}
        onChange={(event) => go({ fill: event.currentTarget.value === "blur" ? undefined : (event.currentTarget.value as FillName), left: undefined }, "same")}
      >
        {FILLS.map(([value, title]) => (
          <option value={value}>with {title}</option>
        ))}
      </select>
    </label>
  );
}
