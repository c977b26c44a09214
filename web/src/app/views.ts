// The views, in the order of their tabs; one is there only if model and data support it.
import type { ComponentType } from "preact";
import { recordedOf } from "../state/recorded";
import { library, model, photo, transport } from "../state/store";
import { Atlas } from "../views/atlas/Atlas";
import { Channel } from "../views/channel/Channel";
import { Decision } from "../views/decision/Decision";
import { Measured } from "../views/measured/Measured";
import { Match } from "../views/match/Match";
import { Methods } from "../views/methods/Methods";
import { Parts, partsAreThere } from "../views/parts/Parts";
import { Tree, treeIsThere } from "../views/tree/Tree";
import { Truth } from "../views/truth/Truth";

export interface View {
  name: string;
  title: string;
  View: ComponentType;
  /** Whether there is something to show. */
  there?: () => boolean;
}

const all: View[] = [
  { name: "decision", title: "Decision", View: Decision },
  { name: "tree", title: "Tree", View: Tree, there: treeIsThere },
  { name: "parts", title: "Parts", View: Parts, there: partsAreThere },
  { name: "match", title: "Match", View: Match },
  { name: "methods", title: "Methods", View: Methods },
  { name: "channel", title: "Channels", View: Channel, there: () => transport.value.live },
  { name: "truth", title: "Truth", View: Truth, there: () => transport.value.live && Boolean(photo.value?.drawn) && model.value?.task !== "embedding" },
  { name: "atlas", title: "Atlas", View: Atlas, there: () => Boolean(library.value?.atlas) },
  { name: "measured", title: "Scores", View: Measured, there: () => transport.value.has("measured", {}) && !transport.value.live },
];

export function views(): View[] {
  return library.value ? all.filter((view) => inReport(view.name) && (!view.there || view.there())) : all;
}

/** A report has the views that it has answers for. */
function inReport(view: string): boolean {
  return transport.value.live || recordedOf(transport.value, view).length > 0;
}
