// A row of the run opens in any other view: its photo becomes one of the studio's.
import { load } from "../../main";
import { go, parse } from "../../state/address";
import { library, transport } from "../../state/store";
import type { OpenedRow } from "../../wire/types";

export async function openRow(row: number, view = "decision"): Promise<void> {
  const opened = await transport.value.ask<OpenedRow>("atlas_open", { run: library.value?.atlas ?? "", row }, new AbortController().signal);
  await load();
  go({ ...parse(opened.address), view, path: [] });
}
