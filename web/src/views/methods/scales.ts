// Which maps share their colors: none, those of a row, or all.
import { address } from "../../state/address";
import { chooseScale, type Scale, type Sign } from "../../draw/scale";
import type { Field } from "../../wire/map";
import type { Cell } from "./cells";
import type { Block } from "./useGrid";

export type Sharing = "each" | "row" | "all";

export function sharing(): Sharing {
  const { scale } = address.value;
  return scale === "row" || scale === "all" ? scale : "each";
}

export function signOf(): Sign {
  return (address.value.sign as Sign | undefined) ?? "auto";
}

/** The scale of each cell with a map. */
export function scalesOf(blocks: readonly Block[]): (cell: Cell) => Scale {
  const how = sharing();
  const group = (cell: Cell) => (how === "all" ? "" : how === "row" ? `${cell.model.name} ${cell.layer}` : cell);
  const fields = new Map<unknown, Field[]>();
  for (const cell of blocks.flatMap((block) => block.cells.flat()))
    if (cell.field) fields.set(group(cell), [...(fields.get(group(cell)) ?? []), cell.field]);
  const chosen = new Map<unknown, Scale>();
  return (cell) => {
    const key = group(cell);
    let scale = chosen.get(key);
    if (!scale) chosen.set(key, (scale = chooseScale(fields.get(key) ?? [], { sign: signOf() })));
    return { ...scale, colors: cell.column.entry.needs === "activations" ? "sequential" : "diverging" };
  };
}
