// What is explained: a class, the runner-up, the class alone, one unit, a function of the person's own.
import type { RefObject } from "preact";
import { useState } from "preact/hooks";
import { go } from "../state/address";
import { library, target } from "../state/store";
import type { ClassScore, Scores } from "../wire/types";
import { margin, PREDICTED, RUNNER_UP, sidesOf, textOf } from "../words/target";
import { ClassList } from "./ClassList";
import { UnitForm } from "./UnitForm";

export type Side = "for" | "against";

interface Props {
  dialog: RefObject<HTMLDialogElement | null>;
  open: boolean;
  side: Side;
  /** Null where the network predicts no class. */
  scores: Scores | null;
  /** The classes that are asked about now: one, or two. */
  asked: readonly string[];
  onClose: () => void;
}

export function TargetPicker({ dialog, open, side, scores, asked, onClose }: Props) {
  return (
    <dialog ref={dialog} class="picker" aria-label={side === "for" ? "What to explain" : "Compared with what"} onClose={onClose}>
      {open && <Choices side={side} scores={scores} asked={asked} onDone={() => dialog.current?.close()} />}
    </dialog>
  );
}

interface ChoicesProps extends Pick<Props, "side" | "scores" | "asked"> {
  onDone: () => void;
}

function Choices({ side, scores, asked, onDone }: ChoicesProps) {
  const [unit, setUnit] = useState(false);
  const classes = scores && scores.kind !== "output" ? scores.classes : [];
  const kind = scores?.kind ?? "class";
  const { first, second } = sidesOf(target.value, asked, classes);
  const choose = (text?: string) => {
    go({ target: text });
    onDone();
  };
  const alone = kind !== "class" && !second;
  const pick = (one: ClassScore) => {
    const name = textOf(one, classes);
    if (side === "against") choose(margin(first || PREDICTED, name));
    else choose(alone ? name : margin(name, second || RUNNER_UP));
  };
  const others = side === "against" ? classes.filter((one) => one.name !== asked[0]) : classes;
  const own = side === "for" ? (library.value?.own_targets ?? []) : [];
  return (
    <>
      {classes.length > 1 && !unit && <ClassList classes={others} kind={kind} onChoose={pick} />}
      {!classes.length && <p>This network predicts no class. Choose one unit, or drop a second photo to see what the two have in common.</p>}
      {unit && <UnitForm onChoose={choose} />}
      <div class="quick">
        {classes.length > 0 && side === "for" && (
          <button type="button" onClick={() => choose()}>
            what the network says
          </button>
        )}
        {side === "against" && (
          <>
            <button type="button" onClick={() => choose(`${first || PREDICTED} - ${RUNNER_UP}`)}>
              the runner-up
            </button>
            <button type="button" onClick={() => choose(first || PREDICTED)}>
              the {kind} alone
            </button>
          </>
        )}
        {side === "for" && (
          <button type="button" aria-pressed={unit} onClick={() => setUnit(!unit)}>
            one unit …
          </button>
        )}
        {own.map((name) => (
          <button type="button" aria-label={`your own function ${name}`} onClick={() => choose(`own:${name}`)}>
            <span class="quiet">your own:</span> {name}
          </button>
        ))}
        <button type="button" class="plain" onClick={onDone}>
          Close
        </button>
      </div>
    </>
  );
}
