// Which methods, layers and models; which maps share their colors; what is computed and measured.
import { CheckMenu } from "../../controls/CheckMenu";
import { Segmented } from "../../controls/Segmented";
import { SignMenu } from "../../controls/SignMenu";
import { address, go } from "../../state/address";
import { library, photo, tables, transport } from "../../state/store";
import { chooseScale } from "../../draw/scale";
import { count } from "../../words/numbers";
import { computeWords, menuTitle } from "../../words/methods";
import { choose, everyMethod, shownModels, type Column } from "./choice";
import { sharing, type Sharing } from "./scales";
import type { Block } from "./useGrid";

interface Props {
  columns: readonly Column[];
  blocks: readonly Block[];
  onComputeAll: () => void;
}

const SHARING = [
  { value: "each", title: "each map" },
  { value: "row", title: "row" },
  { value: "all", title: "all" },
] as const;

export function Choices({ columns, blocks, onComputeAll }: Props) {
  const models = shownModels();
  const stages = [...new Set(blocks.flatMap((block) => block.comparison.answer?.layers ?? []))];
  const layers = [...new Set(blocks.flatMap((block) => block.layers))];
  const every = library.value?.models ?? [];
  const pending = blocks.flatMap((block) => block.cells.flat()).filter((cell) => cell.query && !cell.field);
  const seconds = pending.reduce((sum, cell) => sum + (cell.seconds ?? 0), 0);
  const ramp = chooseScale([], { sign: "signed" });
  return (
    <div class="controls choices-line">
      {transport.value.live && (
        <>
          <CheckMenu title={count(columns.length, "method")} groups={families(columns)} chosen={columns.map((one) => one.name)} onChange={(names) => choose("methods", names)} />
          {stages.length > 1 && (
            <CheckMenu title={count(layers.length, "layer")} groups={[{ title: "Layers", items: stages.map(item) }]} chosen={layers} onChange={(names) => choose("layers", names)} />
          )}
          {every.length > 1 && (
            <CheckMenu
              title={count(models.length, "model")}
              groups={[{ title: "Models", items: every.map((one) => item(one.name)) }]}
              chosen={models.map((one) => one.name)}
              onChange={(names) => choose("models", names)}
            />
          )}
        </>
      )}
      <span class="scaling">
        <span class="quiet">Scale</span>
        <Segmented label="Maps with the same colors" options={SHARING} value={sharing()} onChange={(scale: Sharing) => go({ scale: scale === "each" ? undefined : scale }, "same")} />
      </span>
      <SignMenu />
      {pending.length > 1 && (
        <button type="button" onClick={onComputeAll}>
          {computeWords(seconds).replace("Compute", "Compute all")}
        </button>
      )}
      {!photo.value!.drawn && transport.value.live && !address.value.measure && (
        <button type="button" onClick={() => go({ measure: "1" })}>
          Measure all
        </button>
      )}
      <span class="ramp-words" aria-hidden="true">
        <span class="against">against</span>
        <i style={{ backgroundImage: tables.value?.gradient(ramp, "to right") }} />
        <span class="for">for</span>
      </span>
    </div>
  );
}

const item = (name: string) => ({ value: name, title: name });

/** All methods by family; those with options of their own as they were asked for. */
function families(columns: readonly Column[]) {
  const named = new Map(columns.map((one) => [one.entry.name, one.name]));
  const groups = new Map<string, { value: string; title: string; hint: string }[]>();
  for (const one of everyMethod())
    groups.set(one.family, [...(groups.get(one.family) ?? []), { value: named.get(one.name) ?? one.name, title: menuTitle(one), hint: one.about }]);
  return [...groups].map(([title, items]) => ({ title, items }));
}
