// Which method, by family; what takes long says so, and its options can be set.
import { go } from "../../state/address";
import { DEFAULT_METHOD, library, method, methodName, model, photo, target, transport } from "../../state/store";
import type { MethodEntry } from "../../wire/types";
import { menuTitle } from "../../words/methods";

export function MethodMenu() {
  const families = new Map<string, MethodEntry[]>();
  const on = { photo: photo.value!.hash, model: model.value!.name, target: target.value };
  for (const one of library.value?.methods ?? [])
    if (!one.similarity && transport.value.has("decision", { ...on, method: one.name })) families.set(one.family, [...(families.get(one.family) ?? []), one]);
  const [name = "", options = ""] = methodName.value.split(/:(.*)/s);
  const choose = (text: string) => go({ method: text === DEFAULT_METHOD ? undefined : text });
  const known = method.value?.options;
  return (
    <>
      <label class="select">
        <span class="spoken">Method</span>
        <select value={name} title={method.value?.about} onChange={(event) => choose(event.currentTarget.value)}>
          {!method.value && <option value={name}>{name === "naflow" ? "NAFlow" : name}</option>}
          {[...families].map(([family, methods]) => (
            <optgroup label={family}>
              {methods.map((one) => (
                <option value={one.name} title={one.about}>
                  {menuTitle(one)}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      </label>
      {known && transport.value.live && (
        <input
          type="text"
          class="options"
          aria-label={`Options of ${method.value!.title}`}
          title={`Options, for example ${known}`}
          placeholder={known}
          value={options}
          onChange={(event) => {
            const text = event.currentTarget.value.trim();
            choose(text ? `${name}:${text}` : name);
          }}
        />
      )}
    </>
  );
}
