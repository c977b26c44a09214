// Keys that work everywhere but in a field that is typed into.
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { go, isEmbedded } from "../state/address";
import { photo, photos } from "../state/store";
import { keysShown } from "./KeysHelp";
import { views } from "./views";

export function stepPhoto(by: 1 | -1): void {
  const all = photos.value;
  if (!photo.value || all.length < 2) return;
  const next = all[(all.indexOf(photo.value) + by + all.length) % all.length]!;
  go({ photo: next.hash, target: undefined });
}

const keys: Record<string, () => void> = {
  j: () => stepPhoto(1),
  k: () => stepPhoto(-1),
  "?": () => (keysShown.value = true),
};

export function useKeys(home: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const at = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || at.closest("input, select, textarea, dialog")) return;
      const number = Number(event.key);
      const view = Number.isInteger(number) && number > 0 ? views()[number - 1] : undefined;
      if (view) go({ view: view.name });
      else keys[event.key.toLowerCase()]?.();
    };
    const keyboard = (isEmbedded() ? home.current! : window) as HTMLElement;
    keyboard.addEventListener("keydown", press);
    return () => keyboard.removeEventListener("keydown", press);
  }, []);
}
