// Text goes to the clipboard, files to the person's folder; both say so.
import { signal } from "@preact/signals";

/** What was just done, for those who do not see it, too: "Copied". */
export const done = signal("");

function say(what: string): void {
  done.value = what;
  setTimeout(() => (done.value = ""), 1500);
}

export async function copy(text: string): Promise<void> {
  await navigator.clipboard.writeText(text);
  say("Copied");
}

export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`Saved as ${name}`);
}
