// Photos that are dropped on the page, pasted, or chosen.
import { signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { load } from "../main";
import { go } from "../state/address";
import { transport } from "../state/store";
import type { PhotoEntry } from "../wire/types";

/** What went wrong with the last photo that was added; one sentence. */
export const uploadProblem = signal<string | null>(null);

export async function addPhotos(files: Iterable<File>): Promise<void> {
  const upload = transport.value.upload;
  if (!upload) return;
  uploadProblem.value = null;
  let last: PhotoEntry | null = null;
  for (const file of files) {
    try {
      last = (await upload(file, file.name)) as PhotoEntry;
    } catch (error) {
      uploadProblem.value = error instanceof Error ? error.message : String(error);
    }
  }
  if (!last) return;
  await load();
  go({ photo: last.hash, target: undefined });
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
      void addPhotos(event.dataTransfer.files);
    };
    const paste = (event: ClipboardEvent) => event.clipboardData?.files.length && void addPhotos(event.clipboardData.files);
    element.addEventListener("dragover", over);
    element.addEventListener("dragleave", leave);
    element.addEventListener("drop", drop);
    addEventListener("paste", paste);
    return () => {
      element.removeEventListener("dragover", over);
      element.removeEventListener("dragleave", leave);
      element.removeEventListener("drop", drop);
      removeEventListener("paste", paste);
    };
  }, []);
  return dropping;
}
