// A view as a file: its address, and what a reader of the file wants to know.
import { address, format, go, parse } from "../state/address";
import { library, model, photo } from "../state/store";
import { code, command } from "./Footer";
import { save } from "./copy";

const FORMAT = "foveal-view/1";

export function saveView(): void {
  const view = {
    format: FORMAT,
    address: format({ ...address.value, photo: photo.value?.hash, model: model.value?.name }),
    photo: photo.value?.name ?? "",
    python: code.value?.python ?? "",
    command: command.value,
  };
  const stem = (photo.value?.name ?? "view").replace(/\.[^.]+$/, "");
  save(`${stem}.view.json`, new Blob([JSON.stringify(view, null, 2)], { type: "application/json" }));
}

/** Show the view of a file; a sentence where that cannot be. */
export async function loadView(file: File): Promise<string> {
  const view = (await file.text().then(JSON.parse).catch(() => null)) as { format?: string; address?: unknown; photo?: string } | null;
  if (view?.format !== FORMAT || typeof view.address !== "string") return `${file.name} is not a view that was saved here: choose another.`;
  const next = parse(view.address);
  if (!library.value?.photos.some((one) => one.hash === next.photo)) return `The photo of this view, ${view.photo || "without a name"}, is not open here: add it, then load the view again.`;
  const cleared = Object.fromEntries(Object.keys(address.value).map((field) => [field, undefined]));
  go({ ...cleared, ...next });
  return "";
}
