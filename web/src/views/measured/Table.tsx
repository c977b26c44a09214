// A table that sorts by any of its columns; every column has one scale, so that a gap shows.
import { useMemo, useState } from "preact/hooks";
import { linkTo } from "../../state/address";
import type { MeasuredCell, MeasuredColumn, MeasuredTable } from "../../wire/types";

interface Order {
  column: number;
  down: boolean;
}

const MOST = 50;

export function Table({ table }: { table: MeasuredTable }) {
  const [order, setOrder] = useState<Order | null>(null);
  const [all, setAll] = useState(false);
  const rows = useMemo(() => sorted(table.rows, order), [table, order]);
  const shown = all ? rows : rows.slice(0, MOST);
  const sort = (column: number) => () => {
    const down = order?.column === column ? !order.down : table.columns[column]!.better !== "lower";
    setOrder({ column, down });
  };
  const direction = (column: number) => (order?.column === column ? (order.down ? "descending" : "ascending") : undefined);
  return (
    <section class="sheet">
      <div class="wide" role="region" aria-label={table.title} tabIndex={0}>
        <table>
          <caption>
            <b>{table.title}</b>
          </caption>
          <thead>
            <tr>
              <th scope="col">{table.rows_are}</th>
              {table.columns.map((column, k) => (
                <th scope="col" aria-sort={direction(k)} title={column.about || undefined}>
                  {table.rows.some((row) => row.cells[k]!.value !== null) ? (
                    <button type="button" class="link" onClick={sort(k)}>
                      {column.title}
                      {column.better && <span aria-label={`, ${column.better} is better`}>{column.better === "higher" ? " ↑" : " ↓"}</span>}
                      <span aria-hidden="true">{order?.column === k ? (order.down ? " ▾" : " ▴") : ""}</span>
                    </button>
                  ) : (
                    column.title
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => (
              <tr class={row.aside ? "aside" : ""}>
                <th scope="row" title={row.about || undefined}>
                  {row.photo ? <a href={linkTo({ view: "decision", photo: row.photo })}>{row.name}</a> : row.name}
                </th>
                {row.cells.map((cell, k) => (
                  <td class={`number${cell.best ? " best" : ""}`}>
                    <span>{cell.text}</span>
                    <Interval cell={cell} column={table.columns[k]!} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > MOST && (
        <button type="button" class="link" onClick={() => setAll(!all)}>
          {all ? "Fewer" : `All ${rows.length}`}
        </button>
      )}
      {table.notes.map((note) => (
        <p class="quiet">{note}</p>
      ))}
    </section>
  );
}

/** Undefined values stand at the end, whatever the order. */
function sorted(rows: MeasuredTable["rows"], order: Order | null): MeasuredTable["rows"] {
  if (!order) return rows;
  const value = (row: MeasuredTable["rows"][number]) => row.cells[order.column]!.value;
  const known = rows.filter((row) => value(row) !== null);
  known.sort((a, b) => (order.down ? -1 : 1) * (value(a)! - value(b)!));
  return [...known, ...rows.filter((row) => value(row) === null)];
}

/** The value as a line from zero with an end stroke; its interval as a fine line, the reference as a dotted one. */
function Interval({ cell, column }: { cell: MeasuredCell; column: MeasuredColumn }) {
  if (!column.ends || cell.value === null) return null;
  const [low, high] = column.ends as [number, number];
  const at = (value: number) => (100 * (Math.min(Math.max(value, low), high) - low)) / (high - low);
  const zero = at(Math.min(Math.max(0, low), high));
  const end = at(cell.value);
  return (
    <span class="scale" aria-hidden="true" title={column.reference === null ? undefined : `dotted: ${column.reference_name}`}>
      <i class="length" style={{ left: `${Math.min(zero, end)}%`, width: `${Math.abs(end - zero)}%` }} />
      <i class="end" style={{ left: `${end}%` }} />
      {cell.low !== null && cell.high !== null && <i class="spread" style={{ left: `${at(cell.low)}%`, width: `${at(cell.high) - at(cell.low)}%` }} />}
      {column.reference !== null && <i class="reference" style={{ left: `${at(column.reference)}%` }} />}
    </span>
  );
}
