// The exact call for what is shown.
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
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

export function Footer() {
  const [copied, setCopied] = useState(false);
  const shown = code.value;
  if (!shown) return <footer class="code" />;
  const copy = (text: string) => async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return (
    <footer class="code">
      <code>{shown.python}</code>
      {shown.seconds !== undefined && <span class="quiet">{seconds(shown.seconds)}</span>}
      <button type="button" onClick={copy(shown.python)}>
        Copy as Python
      </button>
      {shown.command && (
        <button type="button" class="plain" onClick={copy(shown.command)}>
          as command
        </button>
      )}
      <button type="button" class="plain" aria-label="Keys" title="Keys (?)" onClick={() => (keysShown.value = true)}>
        ?
      </button>
      <span class="spoken" aria-live="polite">
        {copied ? "Copied" : ""}
      </span>
    </footer>
  );
}
