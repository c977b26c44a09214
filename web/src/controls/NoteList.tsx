// What a reader must know before believing a map.

export function NoteList({ notes }: { notes: readonly string[] }) {
  if (!notes.length) return null;
  return (
    <section class="notes">
      <h2>Know before you believe it</h2>
      <ul>
        {[...new Set(notes)].map((note) => (
          <li>{note}</li>
        ))}
      </ul>
    </section>
  );
}
