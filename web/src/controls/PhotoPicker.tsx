// A photo out of those that are here.
import type { RefObject } from "preact";
import { useState } from "preact/hooks";
import type { PhotoEntry } from "../wire/types";

interface Props {
  dialog: RefObject<HTMLDialogElement | null>;
  label: string;
  photos: readonly PhotoEntry[];
  onChoose: (hash: string) => void;
}

export function PhotoPicker({ dialog, label, photos, onChoose }: Props) {
  const [words, setWords] = useState("");
  const found = photos.filter((one) => `${one.name} ${one.truth}`.toLowerCase().includes(words.toLowerCase()));
  const choose = (hash: string) => () => {
    onChoose(hash);
    dialog.current?.close();
    setWords("");
  };
  return (
    <dialog ref={dialog} class="picker" aria-label={label}>
      <input type="search" placeholder={`Search ${photos.length} photos`} aria-label="Search photos" value={words} onInput={(event) => setWords(event.currentTarget.value)} />
      <ul>
        {found.map((one) => (
          <li key={one.hash}>
            <button type="button" class="row photo" onClick={choose(one.hash)}>
              <img src={one.url} alt="" width="40" height="40" loading="lazy" />
              <span>{one.name}</span>
              <span class="quiet">{one.truth}</span>
            </button>
          </li>
        ))}
      </ul>
      <button type="button" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}
