// Whose page it is, its views, the photo and the model.
import { go, linkTo } from "../state/address";
import { model, models, photo, photos, transport } from "../state/store";
import { addPhotos } from "./drop";
import { ACCEPTED } from "./folder";
import { Share } from "./Share";
import { views } from "./views";
import { stepPhoto } from "./keys";

export function Header({ view }: { view: string }) {
  const number = photo.value ? photos.value.indexOf(photo.value) : -1;
  return (
    <header class="header">
      <strong class="brand">foveal</strong>
      <nav class="tabs" aria-label="Views">
        {views().map((one) => (
          <a href={linkTo({ view: one.name, path: [] })} aria-current={one.name === view ? "page" : undefined}>
            {one.title}
          </a>
        ))}
      </nav>
      {photo.value && (
        <div class="which">
          <img src={photo.value.url} alt="" width="28" height="28" />
          <span class="name">{photo.value.name}</span>
          {photos.value.length > 1 && (
            <span class="steps">
              <span class="quiet">
                {number + 1} of {photos.value.length}
              </span>
              <button type="button" class="plain" aria-label="Previous photo" title="Previous photo (K)" onClick={() => stepPhoto(-1)}>
                ‹
              </button>
              <button type="button" class="plain" aria-label="Next photo" title="Next photo (J)" onClick={() => stepPhoto(1)}>
                ›
              </button>
            </span>
          )}
        </div>
      )}
      {transport.value.upload && (
        <label class="button add" title="Add photos; or drop them on the page, or paste them">
          Add photos …
          <input type="file" accept={ACCEPTED} multiple class="spoken" onChange={(event) => void addPhotos(event.currentTarget.files ?? [])} />
        </label>
      )}
      {model.value && (
        <label class="model">
          <span class="quiet">model</span>
          {models.value.length > 1 ? (
            <select value={model.value.name} onChange={(event) => go({ model: event.currentTarget.value, target: undefined, layer: undefined })}>
              {models.value.map((one) => (
                <option value={one.name}>{one.name}</option>
              ))}
            </select>
          ) : (
            <b>{model.value.name}</b>
          )}
        </label>
      )}
      <Share />
    </header>
  );
}
