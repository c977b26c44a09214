// Everything that the grid shows, model by model. The models of one grid stay the same as long as it is mounted.
import { useAnswer, type Asked } from "../../state/answers";
import { address } from "../../state/address";
import { photo, targetOf, transport } from "../../state/store";
import { shareOn } from "../../draw/parts";
import type { Baselines, Comparison, Deciding, MethodScores, ModelEntry } from "../../wire/types";
import { fieldOf, type Field } from "../../wire/map";
import { cellsOf, type Cell, type On } from "./cells";
import { shownLayers, type Column } from "./choice";

export interface Blind {
  name: string;
  field: Field;
  worth: number | null;
}

export interface Block {
  model: ModelEntry;
  on: On;
  comparison: Asked<Comparison>;
  deciding: Asked<Deciding>;
  measured: Asked<MethodScores>;
  layers: string[];
  /** By column; each has one cell a layer, or one for all of them. */
  cells: Cell[][];
  blind: Blind[];
  /** What the bar says of a map: the share on the part that decides, or what hiding its strongest places costs. */
  worth: (cell: Cell) => number | null;
  /** The best of the maps that know nothing. */
  mark: number | null;
}

export function useGrid(models: readonly ModelEntry[], columns: readonly Column[]): Block[] {
  return models.map((model) => useBlock(model, columns));
}

function useBlock(model: ModelEntry, columns: readonly Column[]): Block {
  const on = { photo: photo.value!.hash, model: model.name, target: targetOf(model) };
  const there = <Query extends object>(name: string, query: Query) => (transport.value.has(name, query) ? query : null);
  const comparison = useAnswer<Comparison>("comparison", { ...on, methods: columns.map((one) => one.name) });
  const deciding = useAnswer<Deciding>("deciding", photo.value!.drawn ? there("deciding", on) : null);
  const plain = { photo: on.photo, model: on.model };
  const baselines = useAnswer<Baselines>("baselines", there("baselines", plain));
  const answer = comparison.problem ? null : comparison.answer;
  const layers = answer ? shownLayers(answer.layers) : [];
  const cells = answer ? columns.map((column) => cellsOf(on, model, column, answer, layers)) : [];
  const asked = cells.flat().flatMap((cell) => (cell.field ? [{ method: cell.column.name, layer: cell.layer }] : []));
  const wanted = address.value.measure && !photo.value!.drawn && asked.length ? { ...on, cells: asked } : null;
  const measured = useAnswer<MethodScores>("method_scores", wanted);
  const truth = deciding.answer;
  const share = (field: Field) => (truth?.part ? shareOn(field, truth.labels, truth.part) : null);
  const blind = (baselines.answer?.maps ?? []).map(({ name, map }) => {
    const field = fieldOf(map);
    return { name, field, worth: share(field) ?? measured.answer?.baselines.find((one) => one.method === name)?.lost ?? null };
  });
  const known = blind.flatMap((one) => (one.worth === null ? [] : [one.worth]));
  return {
    model,
    on,
    comparison,
    deciding,
    measured,
    layers,
    cells,
    blind,
    worth: ({ field, column, layer }) =>
      (field && share(field)) ??
      measured.answer?.cells.find((one) => one.method === column.name && one.layer === layer)?.lost ??
      null,
    mark: known.length ? Math.max(...known) : null,
  };
}

/** What is lost when places are hidden: "the lead", "the probability of the class", "the score". */
export function lostOf(block: Block): string {
  const of = block.measured.answer?.of ?? "score";
  const answer = block.comparison.answer?.methods.find((one) => one.decision)?.decision;
  return of === "score" && answer?.kind === "margin" ? "the lead" : `the ${of}`;
}

/** The rows of the grid, each with the cell that every column has there. */
export function rowsOf(blocks: readonly Block[]): { block: Block; layer: string; first: boolean; cells: Cell[] }[] {
  return blocks.flatMap((block) =>
    block.layers.map((layer, i) => ({
      block,
      layer,
      first: i === 0,
      cells: block.cells.map((column) => (column.length === 1 ? column[0]! : column[i]!)),
    })),
  );
}
