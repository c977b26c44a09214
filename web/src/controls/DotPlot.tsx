// A score here, and a dot for each other place.
import { useRef } from "preact/hooks";
import { ticks } from "../draw/ticks";
import { points } from "../words/numbers";
import { useWidth } from "./width";

interface Props {
  /** The score as the photo is. */
  whole: number;
  here: number;
  others: readonly number[];
  /** What the plot shows, in words. */
  label: string;
  /** What the whole photo is called: "nothing hidden". */
  wholeLabel: string;
  /** Which dot has a name, and the name. */
  edge: "least" | "most";
  edgeLabel: string;
}

const [DOT, PITCH, FOOT, HEAD, TALL] = [3.2, 8, 24, 20, 96];
const LETTER = 6.4; // pixels of a letter, about

export function DotPlot({ whole, here, others, label, wholeLabel, edge, edgeLabel }: Props) {
  const home = useRef<HTMLDivElement>(null);
  const width = useWidth(home);
  const low = Math.min(0, whole, here, ...others);
  const high = Math.max(0, whole, here, ...others);
  const room = 0.04 * (high - low || 1);
  const x = (value: number) => 8 + ((value - low + room) / (high - low + 2 * room)) * (width - 16);
  const stacks = new Map<number, number[]>();
  for (const value of [...others].sort((a, b) => a - b)) {
    const bin = Math.round(x(value) / PITCH);
    stacks.set(bin, [...(stacks.get(bin) ?? []), value]);
  }
  const tallest = Math.max(1, ...[...stacks.values()].map((stack) => stack.length));
  const rise = Math.min(PITCH, TALL / tallest); // dots of tall stacks overlap
  const floor = HEAD + TALL + 6;
  const extreme = edge === "least" ? Math.min : Math.max;
  const least = others.length ? extreme(...others) : null;
  const apart = (text: string, value: number, other: number) => Math.abs(x(value) - x(other)) > LETTER * text.length;
  const leastText = least === null ? "" : `${edgeLabel} ${points(least)}`;
  const hereLong = 8 + LETTER * `here ${points(here)}`.length;
  const crossed = x(whole) > x(here) && x(whole) - x(here) < hereLong;
  const hereRight = x(here) + hereLong < width && !(crossed && x(here) > hereLong);
  const wholeText = `${wholeLabel} ${points(whole)}`;
  const wholeLeft = x(whole) - 8 - LETTER * wholeText.length > 0;
  return (
    <div class="dotplot" ref={home}>
      <svg width={width} height={floor + FOOT} role="img" aria-label={label}>
        <line class="axis" x1="0" x2={width} y1={floor} y2={floor} />
        {ticks(low - room, high + room, width > 500 ? 6 : 4).map((value) => (
          <g>
            <line class="axis" x1={x(value)} x2={x(value)} y1={floor} y2={floor + 4} />
            <text class="quiet" x={x(value)} y={floor + 19} text-anchor="middle">
              {points(value)}
            </text>
          </g>
        ))}
        {[...stacks].map(([bin, stack]) => stack.map((value, i) => <circle cx={bin * PITCH} cy={floor - 5 - i * rise} r={DOT}><title>{points(value)}</title></circle>))}
        <line class="whole" x1={x(whole)} x2={x(whole)} y1={HEAD - 8} y2={floor} />
        <text x={x(whole) + (wholeLeft ? -8 : 8)} y={HEAD + 2} text-anchor={wholeLeft ? "end" : "start"}>
          {wholeText}
        </text>
        <line class="here" x1={x(here)} x2={x(here)} y1={HEAD + 18} y2={floor} />
        <text class="strong" x={x(here) + (hereRight ? 8 : -8)} y={HEAD + 26} text-anchor={hereRight ? "start" : "end"}>
          here {points(here)}
        </text>
        {least !== null && apart(leastText, least, here) && apart(leastText, least, whole) && (
          <text class="quiet" x={Math.min(Math.max(x(least), (LETTER * leastText.length) / 2), width - (LETTER * leastText.length) / 2)} y={floor - rise * (stacks.get(Math.round(x(least) / PITCH))?.length ?? 1) - 8} text-anchor="middle">
            {leastText}
          </text>
        )}
      </svg>
    </div>
  );
}
