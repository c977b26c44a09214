// The views, in the order of their tabs; one is there only if model and data support it.
import type { ComponentType } from "preact";
import { recordedOf } from "../state/recorded";
import { library, transport } from "../state/store";
import { Decision } from "../views/decision/Decision";
import { Parts, partsAreThere } from "../views/parts/Parts";
import { Tree, treeIsThere } from "../views/tree/Tree";

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
];

export function views(): View[] {
  return library.value ? all.filter((view) => inReport(view.name) && (!view.there || view.there())) : all;
}

/** A report has the views that it has answers for. */
function inReport(view: string): boolean {
  return transport.value.live || recordedOf(transport.value, view).length > 0;
}
