// The score with each fill: where fills disagree, the network also answers to the patch itself.
import { useAnswer } from "../../../state/answers";
import type { Edit, Edited, FillName } from "../../../wire/altered";
import { points } from "../../../words/numbers";
import { FILLS } from "./state";

interface Props {
  on: { photo: string; model: string; target: string };
  noun: string;
  edit: Edit;
}

export function Fills({ on, noun, edit }: Props) {
  return (
    <section class="fills">
      <h2>
        What fills it changes the answer <span class="quiet">{noun}, with the same shape {edit.keep ? "kept, the rest hidden" : "hidden"} by …</span>
      </h2>
      <dl>
        {FILLS.map(([name, title]) => (
          <Fill key={name} on={on} edit={edit} name={name} title={title} />
        ))}
      </dl>
      <p class="quiet">Where fills disagree, the network also answers to the patch itself. Trust what they have in common.</p>
    </section>
  );
}

function Fill({ on, edit, name, title }: Omit<Props, "noun"> & { name: FillName; title: string }) {
  const { answer, waiting, problem } = useAnswer<Edited>("edited", { ...on, edit: { ...edit, fill: name } });
  return (
    <div>
      <dt>{title}</dt>
      <dd title={problem ?? undefined}>{waiting || !answer || problem ? "–" : answer.score === null ? "no number" : points(answer.score)}</dd>
    </div>
  );
}
