// Photos, or a folder of them, to compare with.
import { addPhotos, uploadProblem } from "../../app/drop";
import { ACCEPTED } from "../../app/folder";
import { transport } from "../../state/store";

export function AddPhotos() {
  if (!transport.value.upload) return null;
  const add = (event: Event) => void addPhotos((event.currentTarget as HTMLInputElement).files ?? [], "second");
  return (
    <div class="controls">
      <label class="button">
        Add photos …
        <input type="file" accept={ACCEPTED} multiple class="spoken" onChange={add} />
      </label>
      <label class="button">
        Add a folder …
        <input type="file" class="spoken" multiple {...{ webkitdirectory: true }} onChange={add} />
      </label>
      {uploadProblem.value && <p role="alert">{uploadProblem.value}</p>}
    </div>
  );
}
