// Methods are columns, the layers of each model rows. Arrows move, Enter opens a map as the decision.
import { useEffect, useRef } from "preact/hooks";
import { address, go } from "../../state/address";
import { model, methodName } from "../../state/store";
import type { Scale } from "../../draw/scale";
import { targetLabel } from "../../words/target";
import type { Cell } from "./cells";
import { choose, type Column } from "./choice";
import { GridCell } from "./GridCell";
import { rowsOf, type Block } from "./useGrid";

interface Props {
  blocks: readonly Block[];
  columns: readonly Column[];
  scaleOf: (cell: Cell) => Scale;
  selected: Cell | null;
  wanted: boolean;
}

export function MapGrid({ blocks, columns, scaleOf, selected, wanted }: Props) {
  const table = useRef<HTMLTableElement>(null);
  const moved = useRef("");
  const rows = rowsOf(blocks);
  useEffect(() => {
    if (!selected || moved.current !== keyOf(selected)) return;
    table.current?.querySelector<HTMLElement>('[aria-selected="true"]')?.focus();
    moved.current = "";
  }, [selected]);
  const press = (event: KeyboardEvent) => {
    if ((event.target as HTMLElement).closest("button")) return;
    if (event.key === "Enter" && selected?.field) return openCell(selected);
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const next = by && selected && neighbor(rows.map((row) => row.cells), selected, by as [number, number]);
    if (!next) return;
    event.preventDefault();
    moved.current = keyOf(next);
    select(next);
  };
  const targets = new Set(blocks.map(decided).filter(Boolean));
  return (
    <div class="gridscroll">
      <table role="grid" aria-label="Maps of methods" class="methodgrid" ref={table} onKeyDown={press}>
        <thead>
          <tr>
            <td />
            {columns.map((column) => (
              <th scope="col" class={selected?.column.name === column.name ? "chosen" : ""} title={column.entry.about}>
                {column.entry.title.replace("backprop", "back\u00adprop")}
                {column.name.includes(":") && <small>{column.name.split(":")[1]}</small>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ block, layer, first, cells }) => (
            <tr class={first ? "first" : ""}>
              <th scope="row">
                {first ? <b>{block.model.name}</b> : <span class="spoken">{block.model.name}</span>}
                <span>{layer}</span>
                {first && targets.size > 1 && <small>{decided(block)}</small>}
              </th>
              {cells.map((cell, i) =>
                cell.rows > 1 && !first ? null : (
                  <GridCell
                    key={columns[i]!.name}
                    cell={cell}
                    scale={scaleOf(cell)}
                    worth={block.worth(cell)}
                    mark={block.mark}
                    selected={cell === selected}
                    wanted={wanted}
                    onSelect={() => select(cell)}
                    onLeaveOut={() => choose("methods", columns.map((one) => one.name).filter((name) => name !== cell.column.name))}
                  />
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function keyOf(cell: Cell): string {
  return `${cell.model.name} ${cell.column.name} ${cell.layer}`;
}

/** What is explained, in words. */
function decided(block: Block): string {
  const answer = block.comparison.answer?.methods.find((one) => one.decision)?.decision;
  return answer ? targetLabel(answer) : "";
}

export function select(cell: Cell): void {
  const layer = cell.layer === "input" ? address.value.layer : cell.layer;
  go({ method: cell.column.name, model: cell.model.name, layer }, "same");
}

export function openCell(cell: Cell): void {
  select(cell);
  go({ view: "decision" });
}

/** The cell that the address names. */
export function selectedOf(blocks: readonly Block[]): Cell | null {
  const block = blocks.find((one) => one.model.name === model.value?.name) ?? blocks[0];
  const column = block?.cells.find((cells) => cells[0]!.column.name === methodName.value) ?? block?.cells[0];
  return column?.find((cell) => cell.layer === address.value.layer) ?? column?.at(-1) ?? null;
}

/** The next other cell in a direction. */
function neighbor(rows: readonly Cell[][], from: Cell, [down, right]: [number, number]): Cell | null {
  let row = rows.findIndex((cells) => cells.includes(from));
  let column = rows[row]?.indexOf(from) ?? -1;
  while (column >= 0) {
    row += down;
    column += right;
    const next = rows[row]?.[column];
    if (!next || next !== from) return next ?? null;
  }
  return null;
}
