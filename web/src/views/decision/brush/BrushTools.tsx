// The brush's size and keys, beside the photo.
import { erasing, finish, resize, size } from "./state";
import type { PhotoEntry } from "../../../wire/types";

const [LEAST, MOST] = [0.01, 0.5];

export function BrushTools({ photo }: { photo: PhotoEntry }) {
  return (
    <div class="brushtools">
      <label>
        Brush
        <input
          type="range"
          min={Math.log(LEAST)}
          max={Math.log(MOST)}
          step="0.05"
          value={Math.log(size.value)}
          aria-valuetext={`${Math.round(size.value * photo.width)} pixels of the photo`}
          onInput={(event) => (size.value = Math.exp(Number(event.currentTarget.value)))}
        />
        <span>{Math.round(size.value * photo.width)} px</span>
      </label>
      <p>
        <button type="button" class="plain key" aria-label="Smaller brush" onClick={() => resize(1 / 1.2)}>
          <kbd>[</kbd>
        </button>
        <button type="button" class="plain key" aria-label="Larger brush" onClick={() => resize(1.2)}>
          <kbd>]</kbd>
        </button>{" "}
        size
      </p>
      <p>
        <button type="button" class="plain key" aria-pressed={erasing.value} onClick={() => (erasing.value = !erasing.value)}>
          <kbd>X</kbd> erase
        </button>
      </p>
      <p>
        <button type="button" class="plain key" onClick={finish}>
          <kbd>Esc</kbd> done
        </button>
      </p>
    </div>
  );
}
