// Whose map is judged: the method and the layer.
import { go } from "../../state/address";
import { DEFAULT_METHOD, library, methodName } from "../../state/store";
import type { Truth } from "../../wire/types";

export function MapChoice({ truth, layers }: { truth: Truth; layers: readonly string[] }) {
  const methods = (library.value?.methods ?? []).filter((one) => !one.similarity);
  return (
    <p class="choice">
      map of{" "}
      <select
        aria-label="Method"
        value={methodName.value.split(":")[0]}
        onChange={(event) => go({ method: event.currentTarget.value === DEFAULT_METHOD ? undefined : event.currentTarget.value, layer: undefined })}
      >
        {methods.map((one) => (
          <option value={one.name} title={one.about}>
            {one.title}
          </option>
        ))}
      </select>{" "}
      at{" "}
      {layers.length > 1 ? (
        <select aria-label="Layer" value={truth.layer} onChange={(event) => go({ layer: event.currentTarget.value })}>
          {layers.map((layer) => (
            <option value={layer}>{layer}</option>
          ))}
        </select>
      ) : (
        <b>{truth.layer}</b>
      )}
    </p>
  );
}
