// Map or photo, which method, which sign.
import { BrushBar } from "./brush/BrushBar";
import { LeastArea, least } from "./LeastArea";
import { brushing, showsMap } from "./brush/state";
import { Segmented } from "../../controls/Segmented";
import { address, go } from "../../state/address";
import { DEFAULT_METHOD, library, methodName, model, photo, target, transport } from "../../state/store";

const SIGNS = [
  ["", "For and against"],
  ["positive", "For"],
  ["negative", "Against"],
  ["signed", "Both, always"],
] as const;

const AREA = "area";

function shown(value: string) {
  return value === AREA ? { sign: undefined, area: "50" } : { sign: value || undefined, area: undefined };
}

export function Controls() {
  return (
    <div class="controls">
      <Segmented
        label="What the picture shows"
        options={[
          { value: "map", title: "Map" },
          { value: "photo", title: "Photo" },
        ]}
        value={showsMap() ? "map" : "photo"}
        onChange={(show) => go({ show: show === "map" && !brushing.value ? undefined : show, ...(show === "photo" && { left: undefined }) }, "same")}
      />
      <BrushBar />
      {(showsMap() || !brushing.value) && <MapMenus />}
    </div>
  );
}

function MapMenus() {
  const on = { photo: photo.value!.hash, model: model.value!.name, target: target.value };
  const there = (method: string) => transport.value.has("decision", { ...on, method });
  const methods = (library.value?.methods ?? []).filter((one) => !one.similarity && there(one.name));
  const slow = (cost: string) => !["1", "1 + 1", "1 forward", ""].includes(cost) && /\d{2,}|channel|position/.test(cost);
  return (
    <>
      <label class="select">
        <span class="spoken">Method</span>
        <select
          value={methodName.value.split(":")[0]}
          onChange={(event) => go({ method: event.currentTarget.value === DEFAULT_METHOD ? undefined : event.currentTarget.value })}
        >
          {methods.map((one) => (
            <option value={one.name} title={one.about}>
              {one.title}
              {slow(one.cost) ? " (slow)" : ""}
            </option>
          ))}
        </select>
      </label>
      <label class="select">
        <span class="spoken">Sign</span>
        <select value={least() === null ? (address.value.sign ?? "") : AREA} onChange={(event) => go(shown(event.currentTarget.value), "same")}>
          {SIGNS.map(([value, title]) => (
            <option value={value}>{title}</option>
          ))}
          <option value={AREA}>Least area that holds …</option>
        </select>
      </label>
      <LeastArea />
    </>
  );
}
