// The numbers of the places, beside their upper right corners.
import { hover, isHovered } from "../../state/store";
import type { Place } from "../../draw/places";
import { tileOf, type Field } from "../../wire/map";

export function Badges({ field, places }: { field: Field; places: readonly Place[] }) {
  return (
    <div class="badges">
      {places.map((place) => {
        const tiles = place.cells.map((cell) => tileOf(field, Math.floor(cell / field.columns), cell % field.columns));
        const right = Math.max(...tiles.map((tile) => tile[2]));
        const top = Math.min(...tiles.map((tile) => tile[1]));
        return (
          <span
            class={`badge${isHovered("place", place.number) ? " same" : ""}`}
            style={{ left: `${100 * Math.min(right, 0.98)}%`, top: `${100 * Math.max(top, 0.03)}%` }}
            {...hover("place", place.number)}
          >
            {place.number}
          </span>
        );
      })}
    </div>
  );
}
