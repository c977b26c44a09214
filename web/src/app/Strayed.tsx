// The address names a photo or a model that is not here: what is shown instead must not pass for it.
import { address, go } from "../state/address";
import { library, model, photo } from "../state/store";

export function Strayed() {
  const has = library.value;
  if (!has || !photo.value) return null;
  const wanted = { photo: address.value.photo, model: address.value.model };
  const missing = [
    wanted.photo && wanted.photo !== photo.value.hash ? `its photo (${photo.value.name} is shown)` : "",
    wanted.model && wanted.model !== model.value?.name ? `the model ${wanted.model} (${model.value?.name} is shown)` : "",
  ].filter(Boolean);
  if (!missing.length) return null;
  return (
    <p class="problem" role="alert">
      The address is of another studio: this one does not have {missing.join(" and ")}.{" "}
      <button type="button" onClick={() => go({ photo: undefined, model: undefined, target: undefined, layer: undefined })}>
        Go on with what is here
      </button>
    </p>
  );
}
