// The scene as drawn and without one part each: what is left of the lead.
import { useAnswer } from "../../state/answers";
import type { ChangedScene, PartTruth, SceneChange } from "../../wire/types";
import { points } from "../../words/numbers";
import { setChanges } from "./changes";

interface Props {
  on: { photo: string; model: string; target: string };
  parts: readonly PartTruth[];
  changes: readonly SceneChange[];
  lead: string;
}

const MOST = 3;

export function Variants({ on, parts, changes, lead }: Props) {
  const removable = parts.filter((part) => part.removable && part.part !== "mark").slice(0, MOST);
  const only = changes.length === 1 && changes[0]!.kind === "remove" ? changes[0]!.part : null;
  return (
    <ul class="variants" aria-label="The scene without one part">
      <Variant on={on} lead={lead} name="as drawn" changes={[]} chosen={!changes.length} />
      {removable.map((part) => (
        <Variant
          on={on}
          lead={lead}
          name={`no ${part.name}`}
          changes={[{ kind: "remove", part: part.part as Extract<SceneChange, { kind: "remove" }>["part"] }]}
          chosen={only === part.part}
        />
      ))}
    </ul>
  );
}

interface One {
  on: Props["on"];
  lead: string;
  name: string;
  changes: SceneChange[];
  chosen: boolean;
}

function Variant({ on, lead, name, changes, chosen }: One) {
  const { answer } = useAnswer<ChangedScene>("scene", { ...on, changes });
  return (
    <li>
      <button type="button" class="variant" aria-pressed={chosen} onClick={() => setChanges(changes)}>
        {answer ? <img src={answer.picture} alt="" /> : <span class="blank" />}
        <b>{name}</b>
        <span class="quiet">{answer ? `${lead} ${points(answer.score)}` : "\u00a0"}</span>
      </button>
    </li>
  );
}
