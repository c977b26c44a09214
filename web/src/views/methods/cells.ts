// What is in each cell of the grid: a map, a method that waits, or the reason why it cannot run.
import { known } from "../../state/answers";
import type { Comparison, Decision, ModelEntry, WireMap } from "../../wire/types";
import { fieldOf, type Field } from "../../wire/map";
import type { Column } from "./choice";

export interface Cell {
  model: ModelEntry;
  column: Column;
  /** "input" for a method of the input. */
  layer: string;
  /** The rows of the model that it stands for. */
  rows: number;
  answer?: Decision;
  field?: Field;
  /** Why there is no map. */
  refused?: string;
  /** What it would take, and how it is asked for. */
  seconds?: number | undefined;
  query?: object;
}

export interface On {
  photo: string;
  model: string;
  target: string;
}

/** The cells of a method, one a layer or one for all. */
export function cellsOf(on: On, model: ModelEntry, column: Column, comparison: Comparison, layers: readonly string[]): Cell[] {
  const told = comparison.methods.find((one) => one.method === column.name);
  const whole = (cell: Partial<Cell>): Cell[] => [{ model, column, layer: "input", rows: layers.length, ...cell }];
  if (!told) return whole({ refused: "This was not recorded." });
  if (told.refused) return whole({ layer: layers.at(-1)!, refused: told.refused });
  if (told.decision) {
    const { decision } = told;
    if (column.entry.place === "input") return whole(mapped(decision, 0));
    return layers.map((layer) => {
      const at = decision.layers.indexOf(layer);
      const cell = { model, column, layer, rows: 1 };
      if (at >= 0) return { ...cell, ...mapped(decision, at) };
      return { ...cell, refused: `${column.entry.title} is asked at ${decision.layers.join(", ")} only: it needs ${column.entry.condition}` };
    });
  }
  if (column.entry.place === "input") return whole(waiting({ ...on, method: column.name }, told.seconds?.input));
  return layers.map((layer) => ({
    model,
    column,
    layer,
    rows: 1,
    ...waiting({ ...on, method: column.name, layer }, told.seconds?.[layer]),
  }));
}

function mapped(answer: Decision, at: number): Partial<Cell> {
  return { answer, field: fieldOf(answer.maps[at] as WireMap) };
}

function waiting(query: object, seconds: number | undefined): Partial<Cell> {
  const answer = known<Decision>("decision", query);
  return answer ? { ...mapped(answer, 0), query } : { query, seconds };
}

export function nameOf(cell: Cell): string {
  return cell.layer === "input" ? `${cell.column.entry.title} at the input` : `${cell.column.entry.title} at ${cell.layer}`;
}
