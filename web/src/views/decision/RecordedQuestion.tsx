// The headline of a report: what was explained; a choice where several things were.
import { go, address } from "../../state/address";
import { recordedOf } from "../../state/recorded";
import { model, photo, target, transport } from "../../state/store";
import { shortName } from "../../words/names";

export function RecordedQuestion() {
  const here = recordedOf(transport.value, address.value.view, photo.value?.hash, model.value?.name);
  const choices = new Map<string, string>();
  for (const { query, answer } of here) {
    const told = answer as { target?: string; asked?: readonly string[] };
    choices.set(query.target as string, inWords(told.asked ?? [], told.target ?? (query.target as string)));
  }
  const asked = choices.get(target.value);
  return (
    <div class="question">
      <h1>Why {asked}?</h1>
      {choices.size > 1 && (
        <select aria-label="What is explained" value={target.value} onChange={(event) => go({ target: event.currentTarget.value })}>
          {[...choices].map(([text, words]) => (
            <option value={text}>{words}</option>
          ))}
        </select>
      )}
    </div>
  );
}

function inWords([first, second]: readonly string[], target: string): string {
  if (!first) return target;
  return second ? `${shortName(first)} and not ${shortName(second)}` : shortName(first);
}
