// What is explained: search the classes, the runner-up, the class alone.
import type { RefObject } from "preact";
import { useState } from "preact/hooks";
import { go } from "../state/address";
import type { Scores } from "../wire/types";
import { points } from "../words/numbers";

export type Side = "for" | "against";

interface Props {
  dialog: RefObject<HTMLDialogElement | null>;
  side: Side;
  scores: Scores;
  /** The classes that are asked about now: one, or two. */
  asked: readonly string[];
}

export function TargetPicker({ dialog, side, scores, asked }: Props) {
  const [words, setWords] = useState("");
  const choose = (text?: string) => {
    go({ target: text });
    dialog.current?.close();
    setWords("");
  };
  const [first = "", second] = asked;
  const pick = (name: string) => choose(side === "against" ? `${first} - ${name}` : second ? `${name} - ${second}` : name);
  const found = scores.classes.filter((one) => one.name.toLowerCase().includes(words.toLowerCase())).slice(0, 60);
  return (
    <dialog ref={dialog} class="picker" aria-label={side === "for" ? "What to explain" : "Compared with what"}>
      <input
        type="search"
        placeholder={`Search ${scores.classes.length} ${scores.kind === "class" ? "classes" : `${scores.kind}s`}`}
        aria-label="Search classes"
        value={words}
        onInput={(event) => setWords(event.currentTarget.value)}
      />
      <div class="quick">
        {side === "for" ? (
          <button type="button" onClick={() => choose(second ? undefined : "predicted")}>
            what the network says
          </button>
        ) : (
          <>
            <button type="button" onClick={() => choose(`${first} - runner-up`)}>
              the runner-up
            </button>
            <button type="button" onClick={() => choose(first)}>
              nothing: the class alone
            </button>
          </>
        )}
      </div>
      <ul>
        {found.map((one) => (
          <li>
            <button type="button" class="row" onClick={() => pick(one.name)}>
              <span>{one.name}</span>
              <span class="number">{one.score === null ? "" : points(one.score)}</span>
            </button>
          </li>
        ))}
      </ul>
      <button type="button" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}
