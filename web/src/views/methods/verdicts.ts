// What each map says of the part that decides, or of the place that the chosen map marks.
import { agreement, firstPlace, type Agreement } from "../../draw/agree";
import { isAgainst, strongestPart } from "../../draw/parts";
import type { Field } from "../../wire/map";
import { nameOf, type Cell } from "./cells";
import type { Block } from "./useGrid";

export interface Verdicts {
  /** Maps that were compared. */
  count: number;
  by: Record<Agreement, Cell[]>;
  refused: Cell[];
  /** Maps that know nothing and say the same. */
  blind: string[];
}

/** Compared with the truth where it is known, else with the chosen map; null where that marks no place. */
export function verdictsOf(block: Block, chosen: Cell | null): Verdicts | null {
  const say = sayOf(block, chosen);
  if (!say) return null;
  const by: Verdicts["by"] = { same: [], elsewhere: [], against: [], nothing: [] };
  const cells = block.cells.flat();
  const mapped = cells.filter((cell) => cell.field);
  for (const cell of mapped) by[say(cell.field!)].push(cell);
  return {
    count: mapped.length,
    by,
    refused: cells.filter((cell) => cell.refused),
    blind: block.blind.filter((one) => say(one.field) === "same").map((one) => one.name),
  };
}

const known = new WeakMap<Field, Map<unknown, Agreement>>();

/** What a map says; each pair is compared once. */
function sayOf(block: Block, chosen: Cell | null): ((field: Field) => Agreement) | null {
  const truth = block.deciding.answer;
  const reference = chosen?.field;
  if (!truth?.part && !reference) return null;
  const place = truth?.part ? [] : firstPlace(reference!);
  if (!truth?.part && !place.length) return null;
  const against = truth?.part ? truth : reference!;
  return (field) => {
    const said = known.get(field) ?? new Map<unknown, Agreement>();
    known.set(field, said);
    if (!said.has(against)) said.set(against, truth?.part ? onPart(field, block) : agreement(field, reference!, place));
    return said.get(against)!;
  };
}

function onPart(field: Field, { deciding }: Block): Agreement {
  const { labels, part } = deciding.answer!;
  if (isAgainst(field, labels, part)) return "against";
  const strongest = strongestPart(field, labels);
  return strongest === "" ? "nothing" : strongest === part ? "same" : "elsewhere";
}

/** Names of cells: of a method alone where all of its maps are meant. */
export function namesOf(cells: readonly Cell[], block: Block): string[] {
  const names = cells.map((cell) => {
    const all = block.cells.find((column) => column[0]!.column.name === cell.column.name)!;
    return all.every((one) => cells.includes(one)) ? cell.column.entry.title : nameOf(cell);
  });
  return [...new Set(names)];
}
