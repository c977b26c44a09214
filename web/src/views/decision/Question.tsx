// The question is the headline and the control: which class, and against which.
import { useRef } from "preact/hooks";
import { TargetPicker, type Side } from "../../controls/TargetPicker";
import { signal } from "@preact/signals";
import { library } from "../../state/store";
import { shortName } from "../../words/names";
import type { Decision, Scores } from "../../wire/types";
import { RecordedQuestion } from "./RecordedQuestion";

const open = signal<Side | null>(null);

export function Question({ answer, scores }: { answer: Pick<Decision, "asked" | "target"> | null; scores: Scores | null }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const choose = (side: Side) => () => {
    open.value = side;
    dialog.current?.showModal();
  };
  if (!library.value?.live) return <RecordedQuestion />;
  const [first, second] = answer?.asked ?? [];
  const button = (side: Side, text: string) => (
    <button type="button" class="asked" aria-haspopup="dialog" onClick={choose(side)}>
      {shortName(text)}
    </button>
  );
  return (
    <div class="question">
      <h1>
        Why {button("for", first ?? answer?.target ?? "…")}
        {second ? <> and not {button("against", second)}</> : <> {button("against", "rather than …")}</>}?
      </h1>
      {scores && <TargetPicker dialog={dialog} side={open.value ?? "for"} scores={scores} asked={answer?.asked ?? []} />}
    </div>
  );
}
