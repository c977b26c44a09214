// A class of the scores as a question: a click asks about it; dragged onto another, why this and not that.
import { go } from "../state/address";
import { target } from "../state/store";
import type { ClassScore } from "../wire/types";
import { margin, outputName, PREDICTED, sidesOf, textOf } from "../words/target";

const KIND = "text/x-foveal-class";

interface Props {
  one: ClassScore;
  classes: readonly ClassScore[];
  asked: readonly string[];
  kind: string;
}

export function AskButton({ one, classes, asked, kind }: Props) {
  const text = textOf(one, classes);
  const first = sidesOf(target.value, asked, classes).first || PREDICTED;
  const other = asked[0] !== one.name && kind === "class";
  const ask = (event: MouseEvent | KeyboardEvent) => {
    event.preventDefault();
    go({ target: other && event.shiftKey ? margin(first, text) : text });
  };
  const against = other ? `; Shift+Enter: why ${asked[0] ? outputName(asked[0]) : "what the network says"} and not this` : "";
  return (
    <button
      type="button"
      class="name"
      title={`${one.name}. Enter: explain it${against}. Or drag it onto another.`}
      aria-keyshortcuts={other ? "Shift+Enter" : undefined}
      onClick={ask}
      onKeyDown={(event) => event.key === "Enter" && ask(event)}
    >
      {outputName(one.name, kind)}
    </button>
  );
}

/** What makes a row movable, and one that others can be dropped on. */
export function dragged(one: ClassScore, classes: readonly ClassScore[]) {
  const mark = (event: DragEvent, on: boolean) => (event.currentTarget as HTMLElement).classList.toggle("target", on);
  const fits = (event: DragEvent) => event.dataTransfer?.types.includes(KIND);
  return {
    draggable: true,
    onDragStart: (event: DragEvent) => event.dataTransfer?.setData(KIND, textOf(one, classes)),
    onDragOver: (event: DragEvent) => {
      if (!fits(event)) return;
      event.preventDefault();
      mark(event, true);
    },
    onDragLeave: (event: DragEvent) => mark(event, false),
    onDrop: (event: DragEvent) => {
      mark(event, false);
      const first = event.dataTransfer?.getData(KIND);
      const second = textOf(one, classes);
      if (!first || first === second) return;
      event.preventDefault();
      go({ target: margin(first, second) });
    },
  };
}
