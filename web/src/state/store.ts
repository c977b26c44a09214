// What the page knows: the library, the address, and what is under the pointer. Everything else follows from these.
import { computed, signal } from "@preact/signals";
import { ColorTables } from "../draw/scale";
import type { Library, MethodEntry, ModelEntry, PhotoEntry } from "../wire/types";
import { address } from "./address";
import { http } from "./http";
import { nearest, recordedOf } from "./recorded";
import type { Transport } from "./transport";

export const transport = signal<Transport>(http);
export const library = signal<Library | null>(null);
/** The server does not answer. */
export const lost = signal(false);

export const tables = computed(() => (library.value ? new ColorTables(library.value.colors) : null));

/** The photos to choose from; in a report those that this view was recorded with. */
export const photos = computed<readonly PhotoEntry[]>(() => {
  const all = library.value?.photos ?? [];
  const here = recordedOf(transport.value, address.value.view);
  const known = all.filter((one) => here.some(({ query }) => query.photo === one.hash));
  return known.length ? known : all;
});

export const photo = computed<PhotoEntry | null>(
  () => photos.value.find((one) => one.hash === address.value.photo) ?? photos.value[0] ?? null,
);

export const model = computed<ModelEntry | null>(() => {
  return models.value.find((one) => one.name === address.value.model) ?? models.value[0] ?? null;
});

/** The models to choose from; in a report those that this view was recorded with. */
export const models = computed<readonly ModelEntry[]>(() => {
  const all = library.value?.models ?? [];
  const here = recordedOf(transport.value, address.value.view, photo.value?.hash);
  return here.length ? all.filter((one) => here.some(({ query }) => query.model === one.name)) : all;
});

export const method = computed<MethodEntry | null>(() => {
  const methods = library.value?.methods ?? [];
  return methods.find((one) => one.name === methodName.value.split(":")[0]) ?? null;
});

/** Maps of activations alone have no sign. */
export const colors = computed(() => (method.value?.needs === "activations" ? "sequential" : "diverging"));

/** What is explained, and how, with a model: what the address wants, or the nearest that a report has. */
function choiceOf(of: ModelEntry | null) {
  return nearest(transport.value, address.value.view, photo.value?.hash ?? "", of?.name ?? "", {
    target: address.value.target ?? defaultTarget(of),
    method: address.value.method ?? DEFAULT_METHOD,
  });
}

const chosen = computed(() => choiceOf(model.value));
/** The method as queries name it, options included. */
export const methodName = computed(() => chosen.value.method);
/** What is explained, as text. Unless the address says otherwise: why the predicted class and not the runner-up. */
export const target = computed(() => chosen.value.target);

/** The same for any model. */
export function targetOf(of: ModelEntry | null): string {
  return choiceOf(of).target;
}

function defaultTarget(of: ModelEntry | null): string {
  const classes = of && (of.task === null || of.task === "classes") && of.labels.length !== 1;
  return classes ? "predicted - runner-up" : "";
}

export const DEFAULT_METHOD = "hirescam";

/** One hovered thing: every panel answers. `kind` says what it is: "place", "class", "layer", "node", "channel". */
export const hovered = signal<{ kind: string; id: string } | null>(null);

export function hover(kind: string, id: string | number) {
  return {
    onPointerEnter: () => (hovered.value = { kind, id: String(id) }),
    onPointerLeave: () => (hovered.value = null),
    onFocus: () => (hovered.value = { kind, id: String(id) }),
    onBlur: () => (hovered.value = null),
  };
}

export function isHovered(kind: string, id: string | number): boolean {
  return hovered.value?.kind === kind && hovered.value.id === String(id);
}
