// Photos that are dropped on the page, pasted, or chosen.
import { signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { load } from "../main";
import { address, go, isEmbedded } from "../state/address";
import { photo, transport } from "../state/store";
import type { PhotoEntry } from "../wire/types";
import { droppedFiles } from "./folder";
import { sentenceOf } from "../state/transport";

/** What went wrong with the last photo that was added; one sentence. */
export const uploadProblem = signal<string | null>(null);

/** Add photos; the last one is shown: as the photo, or as the second one of a match. */
export async function addPhotos(files: Iterable<File>, as: "photo" | "second" = "photo"): Promise<void> {
  const upload = transport.value.upload;
  if (!upload) return;
  uploadProblem.value = null;
  const before = photo.value;
  let last: PhotoEntry | null = null;
  let count = 0;
  for (const file of files) {
    try {
      last = (await upload(file, file.name)) as PhotoEntry;
      count += 1;
    } catch (error) {
      uploadProblem.value = sentenceOf(error);
    }
  }
  if (!last) return;
  await load();
  if (as === "photo" || !before) go({ photo: last.hash, target: undefined });
  else go({ view: "match", photo: before.hash, with: count === 1 ? last.hash : undefined, at: undefined });
}

export function useDrop(home: RefObject<HTMLElement | null>): boolean {
  const [dropping, setDropping] = useState(false);
  useEffect(() => {
    const element = home.current!;
    const over = (event: DragEvent) => {
      if (!transport.value.upload || !event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setDropping(true);
    };
    const leave = (event: DragEvent) => element.contains(event.relatedTarget as Node | null) || setDropping(false);
    const drop = (event: DragEvent) => {
      setDropping(false);
      if (!event.dataTransfer?.files.length || event.defaultPrevented) return;
      event.preventDefault();
      const second = address.value.view === "match" || (event.target as Element).closest("h1") !== null;
      void droppedFiles(event.dataTransfer).then((files) => addPhotos(files, second && photo.value ? "second" : "photo"));
    };
    const paste = (event: ClipboardEvent) =>
      event.clipboardData?.files.length && void addPhotos(event.clipboardData.files, address.value.view === "match" ? "second" : "photo");
    element.addEventListener("dragover", over);
    element.addEventListener("dragleave", leave);
    element.addEventListener("drop", drop);
    const clipboard = (isEmbedded() ? element : window) as HTMLElement;
    clipboard.addEventListener("paste", paste);
    return () => {
      element.removeEventListener("dragover", over);
      element.removeEventListener("dragleave", leave);
      element.removeEventListener("drop", drop);
      clipboard.removeEventListener("paste", paste);
    };
  }, []);
  return dropping;
}
