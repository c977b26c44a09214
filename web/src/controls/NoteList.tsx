// What a reader must know before believing a map.
import type { ComponentChildren } from "preact";

interface Props {
  notes: readonly string[];
  /** What comes last, such as where to read on. */
  children?: ComponentChildren;
}

export function NoteList({ notes, children }: Props) {
  if (!notes.length && !children) return null;
  return (
    <section class="notes">
      <h2>Know before you believe it</h2>
      <ul>
        {[...new Set(notes)].map((note) => (
          <li>{note}</li>
        ))}
        {children && <li>{children}</li>}
      </ul>
    </section>
  );
}
