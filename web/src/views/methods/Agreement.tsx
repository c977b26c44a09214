// Do they say the same? In words, from the maps themselves.
import { listed } from "../../words/methods";
import { percent } from "../../words/numbers";
import { nameOf, type Cell } from "./cells";
import { lostOf, type Block } from "./useGrid";
import { namesOf, verdictsOf } from "./verdicts";

const BLIND: Record<string, string> = { activation: "activation", edges: "edges", center: "the center", random: "noise" };

export function Agreement({ blocks, chosen }: { blocks: readonly Block[]; chosen: Cell | null }) {
  return (
    <p class="answer" id="agreement" aria-live="polite">
      {blocks.map((block) => (
        <Sentences key={block.model.name} block={block} chosen={chosen} alone={blocks.length === 1} />
      ))}
    </p>
  );
}

function Sentences({ block, chosen, alone }: { block: Block; chosen: Cell | null; alone: boolean }) {
  const said = verdictsOf(block, chosen);
  if (!block.cells.length || (block.deciding.waiting && !block.deciding.answer)) return null;
  const truth = block.deciding.answer;
  const inModel = alone ? "" : `In ${block.model.name}, `;
  const start = (text: string) => (inModel ? inModel + text : text.charAt(0).toUpperCase() + text.slice(1));
  if (!said) return <>{start(chosen?.field ? `${nameOf(chosen)} marks no place that others could share. ` : "there is no map yet. ")}</>;
  const { by, count, refused, blind } = said;
  const best = Math.max(...block.cells.flat().map((cell) => block.worth(cell) ?? 0));
  const names = (cells: Cell[]) => namesOf(cells, block);
  const where = truth?.part ? `on the ${truth.part}, which truly decides` : `at the place that ${nameOf(chosen!)} marks`;
  const same = by.same.length;
  const who = same === count ? "every map has its" : same ? `${same} of ${count} maps have their` : "no map has its";
  const verb = (cells: Cell[], one: string, many: string) => (names(cells).length === 1 ? one : many);
  return (
    <>
      {start(`${who} strongest evidence ${where}.`)}{" "}
      {by.against.length > 0 && (
        <>
          <span class="against">
            {listed(names(by.against))} {verb(by.against, "speaks", "speak")} against it
          </span>
          .{" "}
        </>
      )}
      {by.elsewhere.length > 0 && `${listed(names(by.elsewhere))} ${verb(by.elsewhere, "points", "point")} elsewhere. `}
      {by.nothing.length > 0 && `${listed(names(by.nothing))} ${verb(by.nothing, "finds", "find")} nothing for it. `}
      {refused.length > 0 && `${listed(names(refused))} cannot run. `}
      <span class="quiet">{blindWords(block, blind, best)}</span>
    </>
  );
}

/** What maps get that know nothing: a method must be better than these. */
function blindWords(block: Block, there: readonly string[], best: number): string {
  if (block.mark !== null && block.deciding.answer?.part)
    return `Maps that know nothing have up to ${percent(block.mark)} of their evidence there, these up to ${percent(best)}. `;
  const first = block.blind.find((one) => one.worth === block.mark);
  if (block.mark !== null && first)
    return `Hiding what these mark costs up to ${percent(best)} of ${lostOf(block)}; hiding what ${BLIND[first.name] ?? first.name} ${first.name === "edges" ? "mark" : "marks"}, ${percent(block.mark)}. `;
  if (!there.length) return "";
  const names = listed(there.map((name) => BLIND[name] ?? name), there.length);
  return `${upper(names)} ${there.length === 1 && there[0] !== "edges" ? "points" : "point"} there, too, without knowing the question. `;
}

const upper = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
