// Search among classes: arrows move, Enter chooses. Of a thousand only as many are drawn as are looked at.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { ClassScore } from "../wire/types";
import { outputName } from "../words/target";
import { count, points } from "../words/numbers";

interface Props {
  classes: readonly ClassScore[];
  /** What one of them is called. */
  kind: string;
  onChoose: (one: ClassScore) => void;
}

const PAGE = 60;

export function plural(kind: string): string {
  return kind === "class" ? "classes" : `${kind}s`;
}

export function ClassList({ classes, kind, onChoose }: Props) {
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const [words, setWords] = useState("");
  const [active, setActive] = useState(0);
  const [most, setMost] = useState(PAGE);
  const wanted = words.trim().toLowerCase();
  const found = classes.filter((one) => outputName(one.name, kind).toLowerCase().includes(wanted) || one.name.toLowerCase().includes(wanted));
  const named = (one: ClassScore) =>
    classes.some((other) => other !== one && other.name === one.name) ? `${outputName(one.name, kind)} (${one.index})` : outputName(one.name, kind);
  const shown = found.slice(0, Math.max(most, active + 2));
  useEffect(() => list.current?.children[active]?.scrollIntoView({ block: "nearest" }), [active]);
  useEffect(() => field.current?.focus(), []);
  const search = (text: string) => {
    setWords(text);
    setActive(0);
    setMost(PAGE);
  };
  const press = (event: KeyboardEvent) => {
    const next = { ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + 10, PageUp: active - 10 }[event.key];
    if (next !== undefined) setActive(Math.min(Math.max(next, 0), Math.max(found.length - 1, 0)));
    else if (event.key === "Enter" && found[active]) onChoose(found[active]);
    else return;
    event.preventDefault();
  };
  const more = (event: Event) => {
    const { scrollTop, clientHeight, scrollHeight } = event.currentTarget as HTMLElement;
    if (scrollTop + clientHeight > scrollHeight - 200 && most < found.length) setMost(most + PAGE);
  };
  return (
    <>
      <input
        ref={field}
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-autocomplete="list"
        aria-controls={id}
        aria-activedescendant={found[active] ? `${id}-${found[active].index}` : undefined}
        aria-label={`Search ${plural(kind)}`}
        placeholder={`Search ${count(classes.length, kind, plural(kind))}`}
        value={words}
        onInput={(event) => search(event.currentTarget.value)}
        onKeyDown={press}
      />
      <ul ref={list} id={id} role="listbox" aria-label={`${plural(kind)} by score`} onScroll={more}>
        {shown.map((one, i) => (
          <li
            id={`${id}-${one.index}`}
            role="option"
            aria-selected={i === active}
            title={one.name}
            onPointerMove={() => setActive(i)}
            onClick={() => onChoose(one)}
          >
            <span>{named(one)}</span>
            <span class="number">{one.score === null ? "" : points(one.score)}</span>
          </li>
        ))}
      </ul>
      <p class="spoken" role="status">
        {found.length ? count(found.length, kind, plural(kind)) : ""}
      </p>
      {!found.length && <p class="quiet">No {kind} is called so.</p>}
    </>
  );
}
