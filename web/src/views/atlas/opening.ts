// A row of the run opens in any other view: its photo becomes one of the studio's.
import { load } from "../../main";
import { go, parse, type Address } from "../../state/address";
import { library, transport } from "../../state/store";
import type { OpenedRow } from "../../wire/types";

/** What a view was asked before; nothing of it is true of the row. */
const ANEW: Partial<Address> = Object.fromEntries(
  ["target", "method", "layer", "of", "with", "than", "by", "metric", "at", "show", "parts", "count", "resolution", "finer", "scales", "left"].map((field) => [field, undefined]),
);

/** In the view of the run's verb, with all that the run asked, where no view is named. */
export async function openRow(row: number, view = ""): Promise<void> {
  const opened = await transport.value.ask<OpenedRow>("atlas_open", { run: library.value?.atlas ?? "", row, view }, new AbortController().signal);
  await load();
  go({ ...ANEW, ...parse(opened.address) });
}
