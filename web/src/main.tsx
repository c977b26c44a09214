// The page starts here: on a server, in a report that has its answers inside, or as a widget of a notebook.
import { render } from "preact";
import { App } from "./app/App";
import { address, listen, parse } from "./state/address";
import { inside, recorded } from "./state/recorded";
import { library, transport } from "./state/store";
import type { Transport } from "./state/transport";
import type { Library } from "./wire/types";
import "./style/base.css";

/** Show the studio in an element; what comes back takes it away again. */
export function mount(element: HTMLElement, source?: Transport): () => void {
  if (source) transport.value = source;
  const deaf = listen();
  render(<App />, element);
  void load();
  return () => {
    deaf();
    render(null, element);
  };
}

/** Ask anew what there is to choose from. */
export async function load(): Promise<void> {
  library.value = await transport.value.ask<Library>("library", {}, new AbortController().signal);
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
