// The photos where the channel is strongest, and those to whose class it brings most: what the position sees there.
import { useState } from "preact/hooks";
import { Cutout } from "../../controls/Cutout";
import { linkTo } from "../../state/address";
import { library, photo } from "../../state/store";
import type { ChannelPhotos, PhotoOfChannel } from "../../wire/types";
import { raw, signedPoints } from "../../words/numbers";
import { shortName } from "../../words/names";
import { drawScenes } from "../truth/scenes";

const ENOUGH = 20;
const MORE = 60;

export function Gallery({ photos }: { photos: ChannelPhotos }) {
  return (
    <>
      {photos.of > 1 && (
        <section>
          <h2>
            Strongest <span class="quiet">by activation; {photos.sees_most ? "around the position" : "what the position sees"}</span>
          </h2>
          {photos.strongest.length ? <Crops of={photos.strongest} say={raw} label="Strongest photos" /> : <p class="hint">It is on in none of your photos.</p>}
        </section>
      )}
      {photos.of > 1 && photos.brings.length > 0 && (
        <section>
          <h2>
            Brings most <span class="quiet">to the class of the photo</span>
          </h2>
          <Crops of={photos.brings} say={signedPoints} label="Photos it brings most to" />
        </section>
      )}
      {photos.of < ENOUGH && <Few />}
      <Differ photos={photos} />
      {photos.notes.map((note) => (
        <p class="hint">{note[0]!.toUpperCase() + note.slice(1)}.</p>
      ))}
    </>
  );
}

/** More photos: a folder of the person's own or, in the drawn world, as many as wanted. */
function Few() {
  const [drawing, setDrawing] = useState(false);
  const draw = async () => {
    setDrawing(true);
    await drawScenes(MORE, false).finally(() => setDrawing(false));
  };
  return (
    <div class="few">
      <p class="hint">Give a folder of photos to see where this channel is strong.</p>
      {photo.value!.drawn && (
        <button type="button" disabled={drawing} onClick={() => void draw()}>
          {drawing ? "Drawing …" : `Draw ${MORE} more birds`}
        </button>
      )}
    </div>
  );
}

function Crops({ of, say, label }: { of: readonly PhotoOfChannel[]; say: (value: number) => string; label: string }) {
  const known = library.value!.photos;
  return (
    <ul class="cutouts" aria-label={label}>
      {of.map((one) => {
        const photo = known.find((other) => other.hash === one.photo);
        return (
          photo && (
            <li>
              <a href={linkTo({ photo: one.photo, target: undefined })} title={photo.name}>
                <Cutout photo={photo} box={one.box} />
                <span class="spoken">{photo.name}: </span>
                {say(one.value)}
              </a>
            </li>
          )
        );
      })}
    </ul>
  );
}

/** Strong is not important: where the two lists show other classes, it is said. */
function Differ({ photos }: { photos: ChannelPhotos }) {
  const classOf = (one: PhotoOfChannel) => photos.predicted[photos.all.findIndex((other) => other.photo === one.photo)]!;
  const strong = [...new Set(photos.strongest.slice(0, 4).map(classOf))];
  const serves = [...new Set(photos.brings.slice(0, 4).map(classOf))];
  if (photos.photos < ENOUGH || !serves.length || strong.some((name) => serves.includes(name))) return null;
  return (
    <p class="hint">
      The two lists differ: the strongest photos are of {strong.slice(0, 2).map(shortName).join(" and ")}, but it brings most to {serves.slice(0, 2).map(shortName).join(" and ")}.
    </p>
  );
}
