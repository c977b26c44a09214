// Nothing is open yet.
import { transport } from "../state/store";
import { addPhotos } from "./drop";
import { ACCEPTED } from "./folder";

export function Start() {
  return (
    <section class="start">
      <h1>Drop a photo here.</h1>
      <p>See what your network looked at, and whether that is true.</p>
      {transport.value.upload && (
        <label class="button primary">
          Choose photos …
          <input type="file" accept={ACCEPTED} multiple class="spoken" onChange={(event) => void addPhotos(event.currentTarget.files ?? [])} />
        </label>
      )}
    </section>
  );
}
