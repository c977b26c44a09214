// Take the view along: as a link, a file, code, a figure, or a page that opens from disk.
import { useRef, useState } from "preact/hooks";
import { ask, askedAbout } from "../state/answers";
import { address } from "../state/address";
import { methodName, model, photo, target, transport } from "../state/store";
import { bytesOf } from "../wire/map";
import type { Figure, SavedPage } from "../wire/types";
import { code, command } from "./Footer";
import { copy, save } from "./copy";
import { loadView, saveView } from "./viewFile";
import { sentenceOf } from "../state/transport";
import { finerOf } from "../views/decision/finer";

const FORMATS = ["png", "svg", "pdf"] as const;

export function Share() {
  const menu = useRef<HTMLDivElement>(null);
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState("");
  const run = (what: string, act: () => Promise<string | void>) => async () => {
    setProblem("");
    setBusy(what);
    try {
      const said = await act();
      if (said) setProblem(said);
      else menu.current?.hidePopover();
    } catch (error) {
      setProblem(sentenceOf(error));
    } finally {
      setBusy("");
    }
  };
  const entry = (what: string, act: () => Promise<string | void>) => (
    <button type="button" class="row" disabled={busy !== ""} onClick={run(what, act)}>
      {busy === what ? `${what} …` : what}
    </button>
  );
  const live = transport.value.live;
  const about = photo.value?.hash ?? "";
  return (
    <div class="share">
      <button type="button" popovertarget="share" aria-haspopup="dialog">
        Share
      </button>
      <div id="share" popover="auto" role="dialog" aria-label="Share" class="menu" ref={menu}>
        {entry("Copy link", () => copy(location.href))}
        <p class="quiet">{live ? "It opens this view as long as this studio runs." : "It opens this view of this file."}</p>
        {entry("Save view as JSON", async () => saveView())}
        <label class="row button">
          Load view …
          <input
            type="file"
            accept=".json,application/json"
            class="spoken"
            onChange={(event) => {
              const file = event.currentTarget.files?.[0];
              if (file) void run("Load view", () => loadView(file))();
              event.currentTarget.value = "";
            }}
          />
        </label>
        {code.value && entry("Copy as Python", () => copy(code.value!.python))}
        {command.value && entry("Copy as command", () => copy(command.value))}
        {live && address.value.view === "decision" && FORMATS.map((format) => entry(`Figure as ${format.toUpperCase()}`, () => saveFigure(format)))}
        {live && askedAbout(about).length > 0 && (
          <>
            {entry("Page that opens from disk", savePage)}
            <p class="quiet">One HTML file with everything that you looked at on this photo.</p>
          </>
        )}
        {problem && (
          <p role="alert" class="problem">
            {problem}
          </p>
        )}
      </div>
    </div>
  );
}

async function saveFigure(format: (typeof FORMATS)[number]): Promise<void> {
  const on = { photo: photo.value!.hash, model: model.value!.name, target: target.value, method: methodName.value };
  const sign = address.value.sign ? { sign: address.value.sign } : {};
  const figure = await ask<Figure>("figure", { ...on, ...finerOf(), ...sign, format });
  save(figure.name, new Blob([bytesOf(figure.content) as BlobPart], { type: figure.type }));
}

async function savePage(): Promise<void> {
  const asked = askedAbout(photo.value!.hash).filter(({ name }) => name !== "figure");
  const query = { photo: photo.value!.hash, model: model.value!.name, asked, address: location.hash };
  const page = await transport.value.ask<SavedPage>("page", query, new AbortController().signal);
  save(page.name, new Blob([page.html], { type: "text/html" }));
}
