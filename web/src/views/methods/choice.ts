// What the grid shows: methods, layers and models, as the address has them.
import { address, go } from "../../state/address";
import { recordedOf } from "../../state/recorded";
import { library, method, methodName, model, photo, transport } from "../../state/store";
import type { MethodEntry, ModelEntry } from "../../wire/types";

const USUAL = ["gradcam", "hirescam", "layercam", "ablationcam", "lrp-gamma", "occlusion", "guidedbackprop"];
const MOST_MODELS = 2; // at first; more can be chosen
const LAYERS = 2;

export interface Column {
  /** As queries name it, options included. */
  name: string;
  entry: MethodEntry;
}

const listOf = (text: string | undefined) => (text ? text.split("|") : null);
const asText = (names: readonly string[]) => names.join("|");

/** Those that explain any decision. */
export function everyMethod(): MethodEntry[] {
  return (library.value?.methods ?? []).filter((one) => !one.similarity);
}

export function columns(): Column[] {
  const known = new Map(everyMethod().map((entry) => [entry.name, entry]));
  const own = method.value ? methodName.value : USUAL[0]!; // a flow is no method
  const names = inReport() ?? listOf(address.value.methods as string | undefined) ?? (USUAL.includes(own) ? USUAL : [own, ...USUAL]);
  return names.flatMap((name) => {
    const entry = known.get(name.split(":")[0]!);
    return entry ? [{ name, entry }] : [];
  });
}

/** In a report: those that were recorded together. */
function inReport(): readonly string[] | null {
  const recorded = recordedOf(transport.value, "methods", photo.value?.hash, model.value?.name)[0];
  return recorded ? (recorded.query.methods as string[]) : null;
}

/** The model of the header, and those that know the same classes. */
export function shownModels(): ModelEntry[] {
  const all = library.value?.models ?? [];
  const named = listOf(address.value.models as string | undefined);
  if (named) return all.filter((one) => named.includes(one.name));
  const here = model.value!;
  const alike = all.filter((one) => one.task === here.task && asText(one.labels) === asText(here.labels));
  const first = alike.slice(0, MOST_MODELS);
  return first.includes(here) ? first : [here, ...first.slice(0, MOST_MODELS - 1)];
}

/** Which of a model's stages are rows. */
export function shownLayers(stages: readonly string[]): string[] {
  const named = (listOf(address.value.layers as string | undefined) ?? []).filter((layer) => stages.includes(layer));
  return named.length ? stages.filter((stage) => named.includes(stage)) : stages.slice(-LAYERS);
}

export function choose(what: "methods" | "layers" | "models", names: readonly string[]): void {
  go({ [what]: asText(names) });
}
