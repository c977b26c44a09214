// Photos alone, as long as nothing is known about them.
import { PhotoMap } from "../../controls/PhotoMap";
import type { PhotoEntry } from "../../wire/types";
import { photoName } from "../../words/names";

export function Photos({ photos }: { photos: readonly PhotoEntry[] }) {
  return (
    <div class={photos.length > 2 ? "triple" : "pair"}>
      {photos.map((photo) => (
        <figure key={photo.hash} style={{ "--aspect": photo.width / photo.height }}>
          <figcaption>
            <b>{photoName(photo)}</b>
          </figcaption>
          <PhotoMap photo={photo} alt={photoName(photo)} />
        </figure>
      ))}
    </div>
  );
}
