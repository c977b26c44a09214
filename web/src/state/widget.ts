// Answers from the kernel of a notebook: questions, answers and photos travel as the messages of a widget.
import type { Library, PhotoEntry } from "../wire/types";
import { Problem, type Progress, type Transport } from "./transport";

/** What anywidget gives of its model. */
export interface WidgetModel {
  send(content: object, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(event: "msg:custom", hear: (content: Message, buffers: DataView[]) => void): void;
  off(event: "msg:custom", hear: (content: Message, buffers: DataView[]) => void): void;
  comm_live?: boolean;
}

interface Message extends Partial<Progress> {
  id: string;
  kind: "progress" | "answer" | "error" | "canceled" | "open";
  answer?: unknown;
  sentence?: string;
  address?: string;
}

interface Waiting {
  resolve: (answer: unknown, buffers: DataView[]) => void;
  reject: (error: unknown) => void;
  progress?: ((progress: Progress) => void) | undefined;
}

export function widget(model: WidgetModel): Transport & { close(): void } {
  const waiting = new Map<string, Waiting>();
  const listeners = new Set<(address: string) => void>();
  const photos = new Map<string, Promise<string>>();
  let count = 0;

  const hear = (message: Message, buffers: DataView[]) => {
    if (message.kind === "open") return listeners.forEach((listener) => listener(message.address ?? ""));
    const one = waiting.get(message.id);
    if (!one) return;
    if (message.kind === "progress") return one.progress?.(message as Progress);
    waiting.delete(message.id);
    if (message.kind === "answer") one.resolve(message.answer, buffers);
    else if (message.kind === "error") one.reject(new Problem(message.sentence ?? ""));
    else one.reject(new DOMException("canceled", "AbortError"));
  };
  model.on("msg:custom", hear);

  const send = <Answer>(content: object, options: { signal?: AbortSignal; progress?: ((progress: Progress) => void) | undefined; buffers?: ArrayBuffer[] } = {}) =>
    new Promise<[Answer, DataView[]]>((resolve, reject) => {
      if (model.comm_live === false) return reject(new Problem("The notebook's kernel has stopped. Run the cell again.", true));
      const id = String(++count);
      waiting.set(id, { resolve: (answer, buffers) => resolve([answer as Answer, buffers]), reject, progress: options.progress });
      options.signal?.addEventListener("abort", () => {
        if (!waiting.delete(id)) return;
        model.send({ id, kind: "cancel" });
        reject(new DOMException("canceled", "AbortError"));
      });
      model.send({ id, ...content }, undefined, options.buffers);
    });

  const pictured = async (entry: PhotoEntry): Promise<PhotoEntry> => {
    let url = photos.get(entry.hash);
    if (!url) {
      url = send({ kind: "photo", hash: entry.hash }).then(([, [file]]) => URL.createObjectURL(new Blob([file as DataView<ArrayBuffer>], { type: "image/webp" })));
      photos.set(entry.hash, url);
    }
    return { ...entry, url: await url };
  };

  return {
    live: true,
    has: () => true,
    async ask<Answer>(name: string, query: object, signal: AbortSignal, progress?: (progress: Progress) => void) {
      const [answer] = await send<Answer>({ kind: "ask", name, query }, { signal, progress });
      if (name !== "library") return answer;
      const library = answer as Library;
      return { ...library, photos: await Promise.all(library.photos.map(pictured)) } as Answer;
    },
    async upload(file: Blob, name: string) {
      const [entry] = await send<PhotoEntry>({ kind: "upload", name }, { buffers: [await file.arrayBuffer()] });
      return entry;
    },
    openings(listener) {
      listeners.add(listener);
      model.send({ id: "", kind: "listen" });
      return () => listeners.delete(listener);
    },
    close() {
      model.off("msg:custom", hear);
      for (const url of photos.values()) void url.then(URL.revokeObjectURL, () => undefined);
    },
  };
}
