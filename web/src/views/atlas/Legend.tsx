// What the colors stand for; a kind is also a way to select it.
import { go } from "../../state/address";
import { shortName } from "../../words/names";
import { raw } from "../../words/numbers";
import type { Choice } from "./choice";
import { columnName, css, type Coloring } from "./colors";

interface Props {
  coloring: Coloring;
  by: string;
  choice: Choice;
}

const FIELDS: Record<string, string> = { predicted: "is", label: "labeled", right: "outcome", group: "reason" };

export function Legend({ coloring, by, choice }: Props) {
  if (coloring.ends) {
    const [low, high] = coloring.ends;
    const stops = coloring.colors.slice(0, -1).map(css).join(", ");
    return (
      <p class="colors numbers">
        {columnName(by)} <span>{raw(low)}</span> <i style={{ backgroundImage: `linear-gradient(to right, ${stops})` }} /> <span>{raw(high)}</span>
      </p>
    );
  }
  const field = FIELDS[by] ?? "is";
  const valueOf = (kind: { name: string; code: number }) => (by === "right" ? (kind.code ? "right" : "wrong") : by === "group" ? String(kind.code) : kind.name);
  const now = { is: choice.predicted, labeled: choice.label, outcome: choice.outcome, reason: choice.group === null ? undefined : String(choice.group) }[field];
  return (
    <ul class="colors" aria-label="Colors">
      {coloring.kinds?.map((kind) => (
        <li key={kind.code}>
          <button type="button" class="plain" aria-pressed={now === valueOf(kind)} onClick={() => go({ [field]: now === valueOf(kind) ? undefined : valueOf(kind), inside: undefined })}>
            <i style={{ background: css(kind.color) }} />
            {shortName(kind.name)} <span class="quiet">{kind.count.toLocaleString("en")}</span>
          </button>
        </li>
      ))}
      {coloring.others > 0 && (
        <li class="others">
          <i style={{ background: css(coloring.colors.at(-1)!) }} />
          {coloring.others} others
        </li>
      )}
    </ul>
  );
}
