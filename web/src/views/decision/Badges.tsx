// The numbers of the places, on the upper right of their outlines.
import type { Outline } from "../../draw/contour";
import type { Place } from "../../draw/places";
import { hover, isHovered } from "../../state/store";

export function Badges({ places, outlines }: { places: readonly Place[]; outlines: readonly Outline[] }) {
  const inside = (value: number) => `${100 * Math.min(Math.max(value, 0.03), 0.97)}%`;
  return (
    <div class="badges">
      {places.map((place, i) => {
        const [x, y] = outlines[i]!.corner;
        return (
          <span
            class={`badge${isHovered("place", place.number) ? " same" : ""}`}
            style={{ left: inside(x), top: inside(y) }}
            {...hover("place", place.number)}
          >
            {place.number}
          </span>
        );
      })}
    </div>
  );
}
