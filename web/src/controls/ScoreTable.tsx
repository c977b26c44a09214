// What the network answers: ink bars from zero; after a change the old value is an end stroke.
import { useState } from "preact/hooks";
import { hover, isHovered } from "../state/store";
import type { ClassScore } from "../wire/types";
import { chance, count, points } from "../words/numbers";
import { outputName } from "../words/target";
import { AskButton, dragged } from "./ScoreRow";

interface Props {
  classes: readonly ClassScore[];
  /** What one of them is called. */
  kind: string;
  /** Classes that the question is about: shown first and bold. */
  asked: readonly string[];
  /** The scores before a change, by index. */
  before?: ReadonlyMap<number, number>;
  most?: number;
  heading?: string;
  /** How many classes there are, where only the highest are given. */
  of?: number;
  /** Classes can be asked about: a click on one, one dragged onto another. */
  live?: boolean;
}

export function ScoreTable({ classes, kind, asked, before, most = 5, heading, of = classes.length, live = false }: Props) {
  const [all, setAll] = useState(false);
  const mentioned = classes.filter((one) => asked.includes(one.name));
  const shown = all ? classes : [...new Set([...classes.slice(0, most), ...mentioned])];
  const values = shown.flatMap((one) => [one.score ?? 0, before?.get(one.index) ?? 0]);
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values, 1e-9);
  const at = (value: number) => (100 * (value - low)) / (high - low);
  return (
    <section class="scores">
      <table>
        <caption>
          <b>Scores</b> <span class="quiet">{heading ?? `of ${count(classes.length, kind, kind === "class" ? "classes" : undefined)}`}</span>
        </caption>
        <thead>
          <tr>
            <th scope="col" class="spoken">{kind}</th>
            <td />
            <th scope="col">score</th>
            {classes[0]?.probability != null && <th scope="col">chance</th>}
          </tr>
        </thead>
        <tbody>
          {shown.map((one) => (
            <tr
              class={[asked.includes(one.name) ? "asked" : "", isHovered("class", one.name) ? "same" : ""].join(" ")}
              {...hover("class", one.name)}
              {...(live && kind !== "output" ? dragged(one, classes) : {})}
            >
              <th scope="row" title={one.name}>
                {live && kind !== "output" ? <AskButton one={one} classes={classes} asked={asked} kind={kind} /> : outputName(one.name, kind)}
              </th>
              <td class="track" aria-hidden="true">
                <i class="zero" style={{ left: `${at(0)}%` }} />
                <Bar from={at(0)} to={at(one.score ?? 0)} old={before?.has(one.index) ? at(before.get(one.index)!) : null} />
              </td>
              <td class="number">{one.score === null ? "not a number" : points(one.score)}</td>
              {one.probability != null && <td class="number">{chance(one.probability)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {classes.length > most && classes.length >= of && (
        <button type="button" class="link" onClick={() => setAll(!all)}>
          {all ? "Fewer" : `All ${count(classes.length, kind, kind === "class" ? "classes" : undefined)}`}
        </button>
      )}
    </section>
  );
}

function Bar({ from, to, old }: { from: number; to: number; old: number | null }) {
  const span = (a: number, b: number) => ({ left: `${Math.min(a, b)}%`, width: `${Math.abs(a - b)}%` });
  return (
    <>
      <i class="bar" style={span(from, to)} />
      {old !== null && Math.abs(old - to) > 0.3 && (
        <>
          <i class="gone" style={span(old, to)} />
          <i class="stroke" style={{ left: `${old}%` }} />
        </>
      )}
    </>
  );
}
