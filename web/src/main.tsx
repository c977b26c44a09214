// The page starts here: on a server, in a report that has its answers inside, or as a widget of a notebook.
import { render } from "preact";
import { App } from "./app/App";
import { address, embed, go, isEmbedded, listen, parse } from "./state/address";
import { hearOpenings, tellViewed } from "./state/python";
import { inside, recorded } from "./state/recorded";
import { library, transport } from "./state/store";
import type { Transport } from "./state/transport";
import { widget, type WidgetModel } from "./state/widget";
import type { Library } from "./wire/types";
import "./style/base.css";

/** Show the studio in an element; what comes back takes it away again. */
export function mount(element: HTMLElement, source?: Transport): () => void {
  if (source) transport.value = source;
  const ends = [listen(), tellViewed(), hearOpenings(load)];
  render(<App />, element);
  void load();
  return () => {
    for (const end of ends) end();
    render(null, element);
  };
}

/** The address with which the page was opened; one that names no view shows the run, if there is one. */
const named = typeof location === "undefined" ? "" : location.hash;

/** Ask anew what there is to choose from. */
export async function load(): Promise<void> {
  const first = library.value === null;
  const there = await transport.value.ask<Library>("library", {}, new AbortController().signal);
  if (first && there.atlas && (named === "" || isEmbedded())) go({ view: "atlas" }, "same");
  library.value = there;
}

/** What anywidget calls: the studio in a cell of a notebook. */
export default {
  render({ model, el }: { model: WidgetModel; el: HTMLElement }): () => void {
    embed();
    el.classList.add("foveal-widget");
    el.dataset.lmSuppressShortcuts = "true"; // the keys are the studio's, not the notebook's
    const stay = (event: Event) => event.stopPropagation();
    el.addEventListener("keydown", stay);
    el.addEventListener("click", follow);
    const source = widget(model);
    const gone = mount(el, source);
    return () => {
      gone();
      source.close();
      el.removeEventListener("keydown", stay);
      el.removeEventListener("click", follow);
    };
  },
};

/** A link to another view changes the studio, not the address of the page around it. */
function follow(event: Event): void {
  const link = (event.target as Element).closest('a[href^="#/"]');
  if (!link) return;
  event.preventDefault();
  address.value = parse(link.getAttribute("href")!);
}

export { keyOf } from "./state/transport";

const home = typeof document === "undefined" ? null : document.getElementById("foveal");
if (home) {
  const data = document.getElementById("foveal-answers");
  const start = home.dataset.address;
  if (start && !location.hash) {
    history.replaceState(null, "", start);
    address.value = parse(start);
  }
  mount(home, data ? recorded(inside(data.textContent ?? "{}")) : undefined);
}
