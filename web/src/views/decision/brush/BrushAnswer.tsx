// What hiding does, in words.
import type { Edited } from "../../../wire/altered";
import type { Decision } from "../../../wire/types";
import { shortName } from "../../../words/names";
import { chance, percent, points } from "../../../words/numbers";
import { changeWords, median, unchanged } from "../../../words/scores";

export const DRAWS = 40;

interface Props {
  answer: Decision;
  noun: string;
  edited: Edited | null;
  /** The shape was kept, not hidden. */
  kept: boolean;
  dots: readonly number[];
  asked: readonly string[];
}

export function BrushAnswer({ answer, noun, edited, kept, dots, asked }: Props) {
  if (!edited)
    return (
      <p class="answer" id="answer">
        <b>Paint on the photo</b> to {kept ? "keep only a part of it" : "hide a part of it"}. The scores follow.
      </p>
    );
  const [x0, y0, x1, y1] = answer.maps[0]!.grid.seen as [number, number, number, number];
  const seen = (x1 - x0) * (y1 - y0) > 0.98 ? "the photo" : "what the network sees";
  const middle = median(dots);
  const typical = unchanged(edited.whole, middle) ? `typically stays at ${points(middle)}` : `is typically ${points(middle)}`;
  return (
    <p class="answer" id="answer" aria-live="polite">
      <b>
        You {kept ? "kept only" : "hid"} {percent(edited.area)} of {seen}: {noun} {changeWords(edited.whole, edited.score)}.
      </b>{" "}
      {verdict(edited, asked)}
      {dots.length > 0 && `The same shape ${kept ? "kept" : "hidden"} in ${dots.length} other places: ${noun} ${typical}.`}
    </p>
  );
}

/** Which class is ahead now. */
function verdict({ classes }: Edited, asked: readonly string[]): string {
  const [top, next] = classes.highest;
  if (!asked.length || !top || top.probability == null || next?.probability == null) return "";
  if (top.probability < 0.6 && top.probability + next.probability > 0.8)
    return `The network is now undecided between ${shortName(top.name)} and ${shortName(next.name)}, ${Math.round(100 * top.probability)} to ${Math.round(100 * next.probability)} %. `;
  if (top.name === asked[0]) return `The network still says ${shortName(top.name)}, ${chance(top.probability)}. `;
  return `The network now says ${shortName(top.name)}, ${chance(top.probability)}. `;
}
