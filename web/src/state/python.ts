// The other end of the studio is a program: it hears what the person looks at, and opens results on the page.
import { effect } from "@preact/signals";
import { address, format, go, parse } from "./address";
import { library, methodName, model, photo, target, transport } from "./store";

const QUIET = 200; // milliseconds that the view must hold before it is told

/** Tell what is looked at, whenever it changes; what comes back ends it. */
export function tellViewed(): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = effect(() => {
    if (!library.value?.python || !photo.value || !model.value) return;
    const now = {
      address: format(address.value),
      photo: photo.value.hash,
      model: model.value.name,
      target: target.value,
      method: methodName.value,
      layer: address.value.layer ?? "",
    };
    clearTimeout(timer);
    timer = setTimeout(() => void transport.value.ask("viewed", { now }, new AbortController().signal).catch(() => undefined), QUIET);
  });
  return () => {
    clearTimeout(timer);
    stop();
  };
}

/** Go where Python says; "" means that there are more photos. Only pages that are seen listen. */
export function hearOpenings(load: () => Promise<void>): () => void {
  let deaf: (() => void) | null = null;
  const hear = (opened: string) => void load().then(() => opened && go(only(opened)));
  const listen = () => {
    const wanted = library.value?.python && document.visibilityState === "visible";
    if (wanted && !deaf) deaf = transport.value.openings?.(hear) ?? null;
    if (!wanted && deaf) {
      deaf();
      deaf = null;
    }
  };
  const stop = effect(listen);
  document.addEventListener("visibilitychange", listen);
  return () => {
    stop();
    document.removeEventListener("visibilitychange", listen);
    deaf?.();
  };
}

/** The address alone: what was there before it does not stay. */
function only(opened: string): ReturnType<typeof parse> {
  const gone = Object.keys(address.value).filter((field) => field !== "view" && field !== "path");
  return { ...Object.fromEntries(gone.map((field) => [field, undefined])), ...parse(opened) };
}
