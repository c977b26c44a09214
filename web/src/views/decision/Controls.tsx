// Map or photo, which method, which sign.
import { Segmented } from "../../controls/Segmented";
import { address, go } from "../../state/address";
import { DEFAULT_METHOD, library, methodName, model, photo, target, transport } from "../../state/store";

const SIGNS = [
  ["", "For and against"],
  ["positive", "For"],
  ["negative", "Against"],
  ["signed", "Both, always"],
] as const;

export function Controls() {
  const on = { photo: photo.value!.hash, model: model.value!.name, target: target.value };
  const there = (method: string) => transport.value.has("decision", { ...on, method });
  const methods = (library.value?.methods ?? []).filter((one) => !one.similarity && there(one.name));
  const slow = (cost: string) => !["1", "1 + 1", "1 forward", ""].includes(cost) && /\d{2,}|channel|position/.test(cost);
  return (
    <div class="controls">
      <Segmented
        label="What the picture shows"
        options={[
          { value: "map", title: "Map" },
          { value: "photo", title: "Photo" },
        ]}
        value={address.value.show === "photo" ? "photo" : "map"}
        onChange={(show) => go({ show: show === "photo" ? "photo" : undefined }, "same")}
      />
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
        <select value={address.value.sign ?? ""} onChange={(event) => go({ sign: event.currentTarget.value || undefined }, "same")}>
          {SIGNS.map(([value, title]) => (
            <option value={value}>{title}</option>
          ))}
        </select>
      </label>
    </div>
  );
}
