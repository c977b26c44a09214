// Maps that know nothing of the decision: what a method must be better than.
import { PhotoMap } from "../../controls/PhotoMap";
import { chooseScale } from "../../draw/scale";
import { photo } from "../../state/store";
import type { Block } from "./useGrid";
import { Worth } from "./Worth";

const TITLES: Record<string, string> = { activation: "activation", edges: "edges", center: "center", random: "noise" };

export function BlindMaps({ block }: { block: Block }) {
  return (
    <section class="blind">
      <h2 id="blind">Maps that know nothing</h2>
      <ul aria-labelledby="blind">
        {block.blind.map(({ name, field, worth }) => (
          <li>
            <span class="quiet">{TITLES[name] ?? name}</span>
            <PhotoMap
              photo={photo.value!}
              alt={`${TITLES[name] ?? name}, a map that knows nothing`}
              field={field}
              scale={chooseScale([field], { sign: "positive", colors: name === "activation" ? "sequential" : "diverging" })}
              side={224}
            />
            <Worth value={worth} mark={null} />
          </li>
        ))}
      </ul>
    </section>
  );
}
