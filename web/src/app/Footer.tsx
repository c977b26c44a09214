// The exact call for what is shown.
import { computed, signal } from "@preact/signals";
import { photo } from "../state/store";
import { copy, done } from "./copy";
import { keysShown } from "./KeysHelp";
import { seconds } from "../words/numbers";

export interface Code {
  python: string;
  /** "" where the command line cannot say it. */
  command: string;
  /** What the answer took. */
  seconds?: number;
}

/** Set by the view that is shown. */
export const code = signal<Code | null>(null);

/** A photo that is no file has no command: "" then. */
export const command = computed(() => (code.value && /^['"]/.test(photo.value?.source ?? "") ? code.value.command : ""));

export function Footer() {
  const shown = code.value;
  const said = (
    <span class="said" aria-live="polite">
      {done.value}
    </span>
  );
  if (!shown) return <footer class="code">{said}</footer>;
  return (
    <footer class="code">
      <code>{shown.python}</code>
      {shown.seconds !== undefined && <span class="quiet">{seconds(shown.seconds)}</span>}
      <button type="button" onClick={() => void copy(shown.python)}>
        Copy as Python
      </button>
      {command.value && (
        <button type="button" class="plain" onClick={() => void copy(command.value)}>
          as command
        </button>
      )}
      <button type="button" class="plain" aria-label="Keys" title="Keys (?)" onClick={() => (keysShown.value = true)}>
        ?
      </button>
      {said}
    </footer>
  );
}
