// The question is the headline and the control: which class and against which, or what else is explained.
import { useRef, useState } from "preact/hooks";
import { TargetPicker, type Side } from "../../controls/TargetPicker";
import { library, target } from "../../state/store";
import { outputName, targetLabel, type About } from "../../words/target";
import type { Scores } from "../../wire/types";
import { RecordedQuestion } from "./RecordedQuestion";

interface Props {
  /** Null as long as there is none, or where the target cannot be explained. */
  answer: About | null;
  scores: Scores | null;
  failed?: boolean;
}

export function Question({ answer, scores, failed = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [open, setOpen] = useState<Side | null>(null);
  const choose = (side: Side) => () => {
    setOpen(side);
    dialog.current?.showModal();
  };
  if (!library.value?.live) return <RecordedQuestion />;
  const button = (side: Side, text: string) => (
    <button type="button" class="asked" aria-haspopup="dialog" onClick={choose(side)}>
      {text}
    </button>
  );
  return (
    <div class="question">
      <h1>{headline(answer, scores, failed, button)}</h1>
      <TargetPicker dialog={dialog} open={open !== null} side={open ?? "for"} scores={scores} asked={answer?.asked ?? []} onClose={() => setOpen(null)} />
    </div>
  );
}

type Button = (side: Side, text: string) => preact.JSX.Element;

function headline(answer: About | null, scores: Scores | null, failed: boolean, button: Button) {
  if (!answer && scores?.kind === "output" && !target.value) return <>What raises {button("for", "which unit …")}?</>;
  if (!answer) return <>Why {button("for", failed ? target.value || "…" : "…")}?</>;
  const [first, second] = answer.asked;
  const kind = scores?.kind ?? "class";
  if (answer.kind === "none") return <>What does the network look at, whatever it says?</>;
  if (!first || answer.kind === "value") return <>What raises {button("for", targetLabel(answer))}?</>;
  const against = second ? <> and not {button("against", outputName(second, kind))}</> : <> {button("against", "rather than …")}</>;
  return (
    <>
      Why {kind === "label" && "the label "}
      {button("for", outputName(first, kind))}
      {(second || (scores?.classes.length ?? 0) > 1) && against}?
    </>
  );
}
