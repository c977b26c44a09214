// Switch the selected node off, or scale it from 0 to 2.
import { useEffect, useState } from "preact/hooks";
import type { Shown } from "./levels";
import { scale, scales } from "./state";

export function Switch({ one }: { one: Shown }) {
  const now = scales().get(one.node.id) ?? 1;
  const [dragged, setDragged] = useState(now);
  useEffect(() => setDragged(now), [now, one.node.id]);
  return (
    <section class="turnoff">
      <h2>Switch off</h2>
      <div>
        <button type="button" aria-pressed={now === 0} onClick={() => scale(one.node.id, now === 0 ? 1 : 0)}>
          Off <kbd>O</kbd>
        </button>
        <input
          type="range"
          min="0"
          max="2"
          step="0.1"
          aria-label={`Scale of ${one.name}`}
          aria-valuetext={`times ${dragged.toFixed(1)}`}
          value={dragged}
          onInput={(event) => {
            setDragged(Number(event.currentTarget.value));
            scale(one.node.id, Number(event.currentTarget.value), "same");
          }}
        />
        <output>× {dragged.toFixed(1)}</output>
      </div>
    </section>
  );
}
