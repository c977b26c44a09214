// The line under the pointer: its two crops, what it adds; and what lines cannot say.
import { hover } from "../../state/store";
import { PhotoCrop } from "../../controls/PhotoCrop";
import { go } from "../../state/address";
import { tileOf, type Field } from "../../wire/map";
import type { Matched, PhotoEntry } from "../../wire/types";
import { photoName } from "../../words/names";
import type { Found } from "./Pair";
import { inWords, likeness, position, tinyShare } from "./words";
import { raw } from "../../words/numbers";

interface Props {
  one: PhotoEntry;
  other: PhotoEntry;
  answer: Matched;
  fields: readonly Field[];
  line: number;
  counterpart: Found | null;
}

export function LinePanel({ one, other, answer, fields, line, counterpart }: Props) {
  const shown = answer.lines[line];
  if (!counterpart && !shown) return <NoLines />;
  const [query, reference] = counterpart ? ends(counterpart) : [shown!.query, shown!.reference];
  return (
    <section class="line" aria-label="Positions that are alike">
      <h2>
        {counterpart ? "The position and its like" : line === 0 ? "The strongest line" : `Line ${line + 1}`}{" "}
        <span class="quiet">
          {position(query as [number, number])} ↔ {position(reference as [number, number])}
        </span>
      </h2>
      <div class="two">
        <PhotoCrop photo={one} box={tileOf(fields[0]!, query[0]!, query[1]!)} />
        <PhotoCrop photo={other} box={tileOf(fields[1]!, reference[0]!, reference[1]!)} />
        {counterpart ? <Counterparts found={counterpart} name={photoName(counterpart.at.side === "query" ? other : one)} /> : <Words answer={answer} line={line} />}
      </div>
    </section>
  );
}

function ends({ at, answer }: Found): [number[], readonly number[]] {
  const [here, there] = [[at.row, at.column], [...answer.peak]];
  return at.side === "query" ? [here, there] : [there, here];
}

function Words({ answer, line }: { answer: Matched; line: number }) {
  return (
    <div>
      <p>
        These two positions add {raw(answer.lines[line]!.value)} of {likeness(answer.value)}.
      </p>
      <p>
        Lines are the peaks: the {inWords(answer.lines.length)} hold {tinyShare(answer.held ?? 0)}. The maps are the whole.
      </p>
      <p class="numbers" role="group" aria-label="Lines, the strongest first">
        {answer.lines.map(({ query, reference }, i) => (
          <button
            type="button"
            class={i === line ? "chosen" : ""}
            aria-label={`Line ${i + 1}: ${position(query as [number, number])} with ${position(reference as [number, number])}`}
            {...hover("line", i)}
          >
            {i + 1}
          </button>
        ))}
      </p>
    </div>
  );
}

function Counterparts({ found, name }: { found: Found; name: string }) {
  const { share } = found.answer;
  return (
    <div>
      <p>
        {share !== null && <>The position holds {tinyShare(share)} of the similarity. </>}
        The map on {name} shows with which positions.
      </p>
      <button type="button" onClick={() => go({ at: undefined })}>
        Back to all lines
      </button>
    </div>
  );
}

function NoLines() {
  return (
    <section class="line">
      <h2>No lines</h2>
      <p class="quiet">The maps are the whole: they say where the similarity comes from, on either photo.</p>
    </section>
  );
}
