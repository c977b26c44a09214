// The whole view is in the address: #/decision?photo=…&model=…&target=…; what is at its default is left out.
import { signal } from "@preact/signals";

export interface Address {
  /** "decision", "tree", …; further parts of the path in `path`. */
  view: string;
  path: string[];
  [field: string]: string | string[] | undefined;
  photo?: string;
  model?: string;
  target?: string;
  method?: string;
  layer?: string;
  /** Another layer than the usual one, in views that show one. */
  of?: string;
  sign?: string;
}

/** Inside of another page, such as a notebook, the studio keeps its state to itself. */
let inAddressBar = typeof location !== "undefined";

export function isEmbedded(): boolean {
  return !inAddressBar;
}

/** From now on the address of the page around the studio is left alone. */
export function embed(): void {
  inAddressBar = false;
  address.value = parse("");
}

export function parse(hash: string): Address {
  const [path = "", search = ""] = hash.replace(/^#?\/?/, "").split("?");
  const [view, ...rest] = path.split("/").map(decoded);
  return { ...Object.fromEntries(new URLSearchParams(search)), view: view || "decision", path: rest };
}

/** What is no percent-encoding stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function format({ view, path, ...fields }: Address): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)))
    if (typeof value === "string" && value !== "") search.set(name, value);
  const text = search.toString();
  return `#/${[view, ...path].map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

export const address = signal<Address>(parse(inAddressBar ? location.hash : ""));

/** Change the view; each change is a step of the history, unless it is a small one such as dragging. */
export function go(change: Partial<Address>, step: "new" | "same" = "new"): void {
  const next = { ...address.value, ...change };
  if (change.view && change.view !== address.value.view && !change.path) next.path = [];
  address.value = next;
  const hash = format(next);
  if (inAddressBar && hash !== location.hash) {
    if (step === "new") history.pushState(null, "", hash);
    else history.replaceState(null, "", hash);
  }
}

/** The address of a change, for links. */
export function linkTo(change: Partial<Address>): string {
  const next = { ...address.value, ...change };
  if (change.view && change.view !== address.value.view && !change.path) next.path = [];
  return format(next);
}

export function listen(): () => void {
  if (!inAddressBar) return () => undefined;
  const read = () => (address.value = parse(location.hash));
  addEventListener("popstate", read);
  addEventListener("hashchange", read);
  return () => {
    removeEventListener("popstate", read);
    removeEventListener("hashchange", read);
  };
}
