// What the keys do: "?" opens it.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { library } from "../state/store";

export const keysShown = signal(false);

const KEYS: readonly (readonly [string, string])[] = [
  ["1 – 9", "the views, from left to right"],
  ["J, K", "next and previous photo"],
  ["← → ↑ ↓", "on the photo: another position; on a slider: another value; in the tree: another node"],
  ["Enter, O, F2", "in the tree: open a node, switch it off, name it"],
  ["Space", "while held: the photo without the map"],
  ["wheel, drag", "on the photo: zoom, move; 0 shows it whole"],
  ["← → ↑ ↓, + −, 0", "on the atlas: move, zoom, show all; Shift and drag: a lasso"],
  ["Alt ←", "undo: back to the view before"],
  ["?", "this list"],
];

export function KeysHelp() {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (keysShown.value) dialog.current?.showModal();
  }, [keysShown.value]);
  const live = library.value?.live;
  return (
    <dialog ref={dialog} class="picker keys" aria-labelledby="keys" onClose={() => (keysShown.value = false)}>
      <h2 id="keys">Keys</h2>
      <dl>
        {[...KEYS, ...(live ? LIVE : [])].map(([key, what]) => (
          <>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </>
        ))}
      </dl>
      <button type="button" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}

const LIVE: readonly (readonly [string, string])[] = [
  ["Ctrl V", "add the photo that was copied"],
  ["← → ↑ ↓, Delete", "in Truth: move the chosen part, take it away"],
  ["Ctrl Z, N", "in Truth: put back the last change, draw a new scene"],
];
