// How the decision is taken apart, and how much of it is shown.
import { Segmented } from "../../controls/Segmented";
import { address, go } from "../../state/address";
import { recordedOf } from "../../state/recorded";
import { transport } from "../../state/store";
import { DEFAULT_BRANCHING, FORGOTTEN, least, nodesShown, treeQuery } from "./state";

const KINDS = [
  { value: "parts", title: "Parts", hint: "groups of channels at groups of positions; they add up to the decision" },
  { value: "neurons", title: "Neurons", hint: "single channels at single positions, as published" },
];
const BRANCHING = [3, 4, 5, 6, 8, 12];
const WORDS: Record<number, string> = { 3: "Three", 4: "Four", 5: "Five", 6: "Six", 8: "Eight", 12: "Twelve" };
const REFERENCES = [
  ["blur", "the photo blurred"],
  ["mean", "its mean color"],
  ["zero", "an empty input"],
  ["none", "nothing"],
] as const;
const RULES = [
  ["exact", "Contributions that add up"],
  ["window", "The same, smoothed"],
  ["pool_up", "As published"],
] as const;

export function Controls() {
  const field = (name: string) => address.value[name] as string | undefined;
  const live = transport.value.live;
  const parts = nodesShown() === "parts";
  const kinds = KINDS.filter((kind) => live || transport.value.has("tree", treeQuery(kind.value)));
  const choose = (name: string, usual: string) => (event: { currentTarget: HTMLSelectElement }) =>
    go({ ...FORGOTTEN, [name]: event.currentTarget.value === usual ? undefined : event.currentTarget.value });
  const menu = (label: string, name: string, usual: string, options: readonly (readonly [string, string])[]) => (
    <label class="select">
      <span class={label === "rather than" ? "quiet" : "spoken"}>{label}</span>
      <select value={field(name) ?? usual} onChange={choose(name, usual)}>
        {options.map(([value, title]) => (
          <option value={value}>{title}</option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="controls tree-controls">
      {kinds.length > 1 && (
        <Segmented
          label="What a node is"
          options={kinds}
          value={nodesShown()}
          onChange={(nodes) => go({ ...FORGOTTEN, nodes: nodes === "parts" ? undefined : nodes })}
        />
      )}
      {live && menu("Nodes of a level", "branching", String(DEFAULT_BRANCHING), BRANCHING.map((n) => [String(n), `${WORDS[n]} a level`] as const))}
      {live && (parts ? menu("rather than", "reference", "blur", REFERENCES) : menu("Rule", "rule", "exact", RULES))}
      <label class="ranged">
        <span>Show what carries at least</span>
        <input
          type="range"
          min="0"
          max="20"
          step="1"
          value={least()}
          aria-valuetext={`${least()} percent of its parent`}
          onInput={(event) => go({ least: event.currentTarget.value }, "same")}
        />
        <output>{least()} %</output>
      </label>
      <span class="marks">
        <span>
          <i class="claimed" /> claimed
        </span>
        {(live || recordedOf(transport.value, "tree/effects").length > 0) && (
          <span>
            <i class="asked-for" /> measured, switched off
          </span>
        )}
      </span>
    </div>
  );
}
