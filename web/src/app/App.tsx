// The frame: header, the view that the address names, and the line of code that makes the same.
import { useEffect, useRef } from "preact/hooks";
import { address, isEmbedded } from "../state/address";
import { library, lost } from "../state/store";
import { Footer } from "./Footer";
import { Header } from "./Header";
import { KeysHelp } from "./KeysHelp";
import { useKeys } from "./keys";
import { Strayed } from "./Strayed";
import { Start } from "./Start";
import { uploadProblem, useDrop } from "./drop";
import { views } from "./views";

export function App() {
  const home = useRef<HTMLDivElement>(null);
  useKeys(home);
  const dropping = useDrop(home);
  const view = views().find((one) => one.name === address.value.view) ?? views()[0]!;
  useEffect(() => {
    if (!isEmbedded()) document.title = `${view.title} · foveal`;
  }, [view]);
  const ready = library.value;
  const Main = isEmbedded() ? "section" : "main"; // the page around the studio has one of its own
  return (
    <div class={`studio${dropping ? " dropping" : ""}`} ref={home}>
      <a class="skip" href="#main" onClick={toMain}>
        Skip to the evidence
      </a>
      {lost.value && (
        <p class="lost" role="alert">
          foveal has stopped. Start it again, and open the address that it prints.
        </p>
      )}
      <Header view={view.name} />
      <Strayed />
      {uploadProblem.value && (
        <p class="problem" role="alert">
          {uploadProblem.value}{" "}
          <button type="button" onClick={() => (uploadProblem.value = null)}>
            Close
          </button>
        </p>
      )}
      <Main id="main" tabIndex={-1} aria-label={isEmbedded() ? "Studio" : undefined}>
        {!ready ? <p class="wait">Reading what there is …</p> : ready.photos.length || view.name === "atlas" ? <view.View /> : <Start />}
      </Main>
      {ready && (ready.photos.length > 0 || ready.atlas) && <Footer />}
      <KeysHelp />
    </div>
  );
}

function toMain(event: Event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
