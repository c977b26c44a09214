// Part by part: what is true is ink, what the map claims is orange.
import type { ComponentChildren } from "preact";
import { hover, isHovered } from "../../state/store";
import type { PartTruth, PhotoEntry } from "../../wire/types";
import { percent, points } from "../../words/numbers";

interface Props {
  parts: readonly PartTruth[];
  photo: PhotoEntry;
  deciding: string | null;
  /** Of the evidence that is compared. */
  side: "for" | "against";
  onSelect: (part: string) => void;
  /** Whose map it is. */
  children?: ComponentChildren;
}

export function PartTable({ parts, photo, deciding, side, onSelect, children }: Props) {
  const effects = parts.map((part) => part.effect ?? 0);
  const low = Math.min(0, ...effects);
  const high = Math.max(0, ...effects, 1e-9);
  const full = Math.max(high, -low);
  const at = (value: number) => (100 * (value - low)) / (full - low);
  const claim = (share: number) => {
    const wide = (100 * full * share) / (full - low);
    return { left: `${side === "for" ? at(0) : at(0) - wide}%`, width: `${wide}%` };
  };
  return (
    <section class="truths">
      <div class="heading">
        <h2>
          Part by part <span class="quiet">ordered by what is true</span>
        </h2>
        {children}
      </div>
      <table aria-label="Part by part">
        <thead>
          <tr>
            <td />
            <th scope="col" class="spoken">
              part
            </th>
            <td />
            <th scope="col" class="ink">
              true effect
            </th>
            <th scope="col" class={side}>
              in the map
            </th>
          </tr>
        </thead>
        <tbody>
          {parts.map((part) => (
            <tr class={[part.part === deciding ? "asked" : "", isHovered("part", part.part) ? "same" : ""].join(" ")} {...hover("part", part.part)}>
              <td>
                <Crop photo={photo} box={part.box ?? (part.part === "background" ? [0, 0, 1, 1] : null)} />
              </td>
              <th scope="row">
                <button type="button" class="name" onClick={() => onSelect(part.part)}>
                  {part.name}
                </button>
              </th>
              <td class="track" aria-hidden="true">
                <i class="zero" style={{ left: `${at(0)}%` }} />
                {part.effect !== null && <Effect from={at(0)} to={at(part.effect)} />}
                <i class={`claim ${side}`} style={claim(part.share)} />
              </td>
              <td class="number">{part.effect === null ? "not tried" : points(Math.abs(part.effect) < 0.05 ? 0 : part.effect, true)}</td>
              <td class={`number ${side}`}>{percent(part.share)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Effect({ from, to }: { from: number; to: number }) {
  return (
    <>
      <i class="line" style={{ left: `${Math.min(from, to)}%`, width: `${Math.abs(from - to)}%` }} />
      <i class="end" style={{ left: `${to}%` }} />
    </>
  );
}

/** The part, cut out of the scene as drawn. */
function Crop({ photo, box }: { photo: PhotoEntry; box: readonly number[] | null }) {
  if (!box) return <span class="cut" />;
  const [x0, y0, x1, y1] = box as [number, number, number, number];
  const side = Math.min(1, Math.max(x1 - x0, y1 - y0) * 1.1);
  const corner = (middle: number) => Math.min(Math.max(middle - side / 2, 0), 1 - side);
  const share = (start: number) => `${side < 1 ? (100 * start) / (1 - side) : 0}%`;
  return (
    <span
      class="cut"
      style={{
        backgroundImage: `url("${photo.url}")`,
        backgroundSize: `${100 / side}%`,
        backgroundPosition: `${share(corner((x0 + x1) / 2))} ${share(corner((y0 + y1) / 2))}`,
      }}
    />
  );
}
