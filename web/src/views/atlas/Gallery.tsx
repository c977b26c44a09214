// Decisions of the run as small photos, a page at a time; each page is read when it is looked at.
import { useEffect, useState } from "preact/hooks";
import { Waiting } from "../../controls/Waiting";
import { useAnswer } from "../../state/answers";
import type { AtlasRow, AtlasRows } from "../../wire/types";
import { Said } from "./Preview";
import { Thumb } from "./Thumb";

const PAGE = 24;

interface Props {
  run: string;
  /** Rows of the run, in the order in which they are shown. */
  rows: readonly number[] | Int32Array;
  method: string;
  label: string;
  open: number | null;
  onOpen: (row: number) => void;
  onOver?: (row: number | null) => void;
}

export function Gallery({ run, rows, method, label, open, onOpen, onOver }: Props) {
  const [page, setPage] = useState(0);
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  useEffect(() => setPage(0), [rows]);
  const shown = Math.min(page, pages - 1);
  const first = shown * PAGE;
  const asked = useAnswer<AtlasRows>("atlas_rows", rows.length ? { run, rows: Array.from(rows.slice(first, first + PAGE)) } : null);
  return (
    <section class="gallery" aria-label={label}>
      <Waiting asked={asked} what="Reading photos" />
      <ul class={asked.waiting ? "old" : ""}>
        {asked.answer?.rows.map((row) => (
          <li key={row.row}>
            <Card row={row} method={method} open={row.row === open} onOpen={onOpen} onOver={onOver} />
          </li>
        ))}
      </ul>
      {pages > 1 && (
        <div class="pages">
          <button type="button" disabled={shown === 0} onClick={() => setPage(shown - 1)}>
            Previous
          </button>
          <span role="status">
            {(first + 1).toLocaleString("en")} – {Math.min(first + PAGE, rows.length).toLocaleString("en")} of {rows.length.toLocaleString("en")}
          </span>
          <button type="button" disabled={shown === pages - 1} onClick={() => setPage(shown + 1)}>
            Next
          </button>
        </div>
      )}
    </section>
  );
}

interface CardProps {
  row: AtlasRow;
  method: string;
  open?: boolean;
  /** What stands below, such as how alike it is. */
  more?: string;
  onOpen: (row: number) => void;
  onOver?: ((row: number | null) => void) | undefined;
}

export function Card({ row, method, open = false, more, onOpen, onOver }: CardProps) {
  return (
    <button
      type="button"
      class="card"
      aria-pressed={open}
      title={row.problem || row.name}
      onClick={() => onOpen(row.row)}
      onPointerEnter={() => onOver?.(row.row)}
      onPointerLeave={() => onOver?.(null)}
      onFocus={() => onOver?.(row.row)}
      onBlur={() => onOver?.(null)}
    >
      {row.thumb || row.map ? <Thumb url={row.thumb} map={row.map} alt="" method={method} /> : <span class="thumb blank">{row.problem}</span>}
      <span>
        <Said row={row} />
        {more && <span class="quiet"> {more}</span>}
      </span>
    </button>
  );
}
