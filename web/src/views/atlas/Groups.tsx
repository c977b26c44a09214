// Groups by reason: those flagged first, with what their tests cost; each selects its decisions.
import { useState } from "preact/hooks";
import { go } from "../../state/address";
import type { AtlasEffect, AtlasGroup } from "../../wire/types";
import { shortName } from "../../words/names";
import { count, points } from "../../words/numbers";
import type { Choice } from "./choice";
import type { AtlasData } from "./data";
import { SaveGroups } from "./SaveGroups";
import { Thumb } from "./Thumb";
import { Ungrouped } from "./Ungrouped";

const FIRST = 12;

export function Groups({ data, choice }: { data: AtlasData; choice: Choice }) {
  const [all, setAll] = useState(false);
  const { groups } = data.answer;
  if (!groups.length) return <Ungrouped data={data} />;
  const order = groups.map((group, number) => ({ group, number }));
  const wanted = order.filter(({ group }) => choice.predicted === undefined || group.class_name === choice.predicted);
  wanted.sort((a, b) => rank(b.group) - rank(a.group) || largest(b.group) - largest(a.group));
  const flagged = groups.filter((group) => group.flagged).length;
  const shown = all ? wanted : wanted.slice(0, FIRST);
  return (
    <section class="groups">
      <table>
        <caption>
          <b>{count(groups.length, "group")} by reason</b> <span class="quiet">{flagged ? `${flagged} flagged: a few that were decided for a reason of their own` : "none flagged"}</span>
        </caption>
        <thead>
          <tr>
            <td />
            <th scope="col">class</th>
            <th scope="col">decisions</th>
            <th scope="col">points of the score lost</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({ group, number }) => {
            const chosen = choice.group === number;
            return (
              <tr class={chosen ? "same" : ""}>
                <td>
                  <Thumb url="" map={group.map} alt={`Mean map of group ${number + 1}`} method="hirescam" />
                </td>
                <th scope="row">
                  <button type="button" class="link" aria-pressed={chosen} onClick={() => go({ reason: chosen ? undefined : String(number), inside: undefined, row: undefined })}>
                    {shortName(group.class_name)}, group {number + 1}
                  </button>
                  {group.odd && <span class="tag">{group.flagged ? "flagged" : "odd"}</span>}
                </th>
                <td class="number">{group.points.toLocaleString("en")}</td>
                <td>
                  <Costs group={group} />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {wanted.length > FIRST && (
        <button type="button" class="link" onClick={() => setAll(!all)}>
          {all ? "Fewer" : `All ${wanted.length}`}
        </button>
      )}
      <SaveGroups data={data} />
    </section>
  );
}

function rank(group: AtlasGroup): number {
  return group.flagged ? 2 : group.odd ? 1 : 0;
}

function largest({ hiding, appearance }: AtlasGroup): number {
  return Math.max(hiding?.effect ?? 0, appearance?.effect ?? 0);
}

function Costs({ group: { hiding, appearance } }: { group: AtlasGroup }) {
  if (!hiding && !appearance) return <span class="quiet">not tested</span>;
  return (
    <>
      {hiding && <div>hiding what they share: {cost(hiding)}</div>}
      {appearance && <div>with colors and texture of others: {cost(appearance)}</div>}
    </>
  );
}

/** "3.1 here, 0.4 ± 0.2 in others of the class". */
export function cost({ effect, chance, spread }: AtlasEffect) {
  return (
    <>
      {points(effect)} here
      <span class="quiet">
        , {points(chance)} ± {points(spread)} in others of the class
      </span>
    </>
  );
}
