// What a person can try: hide a place, keep only it, brush, switch channels off.
import type { Place } from "../../draw/places";
import { transport } from "../../state/store";
import type { Field } from "../../wire/map";
import { start } from "./brush/state";
import { tilesOf } from "./brush/shape";
import { startSwitch } from "./switch/state";

export function WhatIf({ field, places, layer }: { field: Field; places: readonly Place[]; layer: string }) {
  if (!transport.value.live) return null;
  const first = places[0];
  const place = first && { tiles: tilesOf(field, first.cells), strokes: [] };
  return (
    <section class="actions">
      <h2>What if …</h2>
      <div class="controls">
        {place && (
          <>
            <button type="button" onClick={() => start({ shape: place })}>
              Hide place {first.number}
            </button>
            <button type="button" onClick={() => start({ shape: place, keep: true })}>
              Keep only place {first.number}
            </button>
          </>
        )}
        <button type="button" onClick={() => start()}>
          Brush your own <kbd>B</kbd>
        </button>
        {layer !== "input" && (
          <button type="button" onClick={() => startSwitch({ layer })}>
            Switch off a part …
          </button>
        )}
      </div>
    </section>
  );
}
