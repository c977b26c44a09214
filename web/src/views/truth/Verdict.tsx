// What is true, what the map says, and whether that is the same.
import { go } from "../../state/address";
import type { PartTruth, Truth } from "../../wire/types";
import { percent, points } from "../../words/numbers";

export function Verdict({ truth }: { truth: Truth }) {
  const lead = truth.asked.length === 2 ? "lead" : "score";
  const decides = truth.parts.find((part) => part.part === truth.deciding);
  const pointed = truth.parts.find((part) => part.part === truth.pointed);
  const most = truth.parts[0]!;
  return (
    <p class="answer" id="answer">
      {decides ? (
        <>
          <b>{(decides.effect ?? 0) < 0 ? `The ${decides.name} speaks against it` : `Because of the ${decides.name}`}, and we know it:</b>{" "}
          {without(decides)} {changeOf(decides.effect!, truth.score, lead)}{" "}
          <span class={truth.side}>
            The map puts {percent(decides.share)} of its evidence {truth.side === "against" && "against "}there
          </span>
          {pointed === decides ? ", and is strongest there." : pointed ? `, and is strongest on the ${pointed.name}.` : "."}{" "}
        </>
      ) : (
        <>
          <b>No single part decides.</b> The largest effect is that of the {most.name}: {points(most.effect ?? 0, true)} points of a {lead} of{" "}
          {points(truth.score)}. {pointed && <>The map is strongest on the {pointed.name}, with <span class={truth.side}>{percent(pointed.share)}</span> of its evidence. </>}
        </>
      )}
      {decides && <b>{verdictOf(truth, decides, pointed)}</b>}
    </p>
  );
}

function verdictOf(truth: Truth, decides: PartTruth, pointed: PartTruth | undefined): string {
  const most = truth.parts.find((part) => part.share > 0.5);
  if (truth.verdict === "right")
    return most && most !== decides ? `The map is right about the part, but most of its evidence lies on the ${most.name}.` : "The map is right.";
  if (truth.verdict === "marks nothing") return "The map marks nothing.";
  return `The map points at the ${pointed!.name}; the ${decides.name} ${decides.name === "legs" ? "decide" : "decides"}.`;
}

function without(part: PartTruth): string {
  if (part.part === "background") return "the same bird before other backgrounds";
  return part.removable ? `the same bird drawn without ${part.name === "legs" ? "them" : "it"}` : `the same bird with another ${part.name}`;
}

function changeOf(effect: number, score: number, lead: string): string {
  return effect >= 0 ? `loses ${points(effect)} of its ${lead} of ${points(score)}.` : `gains ${points(-effect)} on its ${lead} of ${points(score)}.`;
}

/** Evidence beside a part can be spill; a layer that puts more of it on the deciding part is one click away. */
export function Spill({ truth, side }: { truth: Truth; side: number }) {
  const decides = truth.parts.find((part) => part.part === truth.deciding);
  const here = truth.layers.find((one) => one.layer === truth.layer);
  if (!decides?.box || !here) return null;
  const high = Math.round((decides.box[3]! - decides.box[1]!) * side);
  const seen = here.sees ? Math.max(...here.sees) : 0;
  const best = [...truth.layers].sort((a, b) => b.share - a.share)[0]!;
  return (
    <p class="hint">
      {seen > high && (
        <>
          Evidence around the {decides.name} can be spill: a position of {truth.layer} sees {seen} pixels, more than the {decides.name} is high ({high}).{" "}
        </>
      )}
      {best.share > here.share + 0.1 && (
        <button type="button" class="link" onClick={() => go({ layer: best.layer })}>
          Try {best.layer}, {percent(best.share)} on the {decides.name}
        </button>
      )}
    </p>
  );
}
