// Where the evidence lies: each place with its crop, its share of the area, and what the map gives it.
import { useEffect, useRef } from "preact/hooks";
import { drawOverlay } from "../../draw/overlay";
import { usePixels } from "../../draw/pixels";
import type { Place } from "../../draw/places";
import type { Scale } from "../../draw/scale";
import { hover, isHovered, tables } from "../../state/store";
import { tileOf, type Field } from "../../wire/map";
import type { PhotoEntry } from "../../wire/types";
import { percent, points } from "../../words/numbers";

interface Props {
  field: Field;
  places: readonly Place[];
  photo: PhotoEntry;
  scale: Scale;
}

export function Places({ field, places, photo, scale }: Props) {
  const whole = field.total;
  const rest = whole - places.reduce((sum, place) => sum + place.sum, 0);
  const most = Math.max(...places.map((place) => Math.abs(place.sum)), Math.abs(rest), 1e-12);
  return (
    <section class="places">
      <table>
        <caption>
          <b>Where the evidence lies</b> <span class="quiet">sums of the map</span>
        </caption>
        <tbody>
          {places.map((place) => (
            <tr class={isHovered("place", place.number) ? "same" : ""} {...hover("place", place.number)}>
              <td>
                <span class="badge">{place.number}</span>
              </td>
              <td>
                <Crop field={field} cells={place.cells} photo={photo} scale={scale} />
              </td>
              <th scope="row">
                <span class={place.against ? "against" : "for"}>{place.against ? "against" : "for"}</span>
                <span class="quiet">{percent(place.area)} of area</span>
              </th>
              <td class="track" aria-hidden="true">
                <i class={`claim ${place.against ? "against" : "for"}`} style={{ width: `${(100 * Math.abs(place.sum)) / most}%` }} />
              </td>
              <td class={`number ${place.against ? "against" : "for"}`}>{points(place.sum, true)}</td>
            </tr>
          ))}
          <tr class="rest">
            <td />
            <td />
            <th scope="row" class="quiet">
              the rest
            </th>
            <td />
            <td class="number quiet">{points(rest, true)}</td>
          </tr>
        </tbody>
      </table>
    </section>
  );
}

function Crop({ field, cells, photo, scale }: Omit<Props, "places"> & { cells: readonly number[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pixels = usePixels(photo.url, 320);
  useEffect(() => {
    if (!pixels || !tables.value) return;
    const whole = new OffscreenCanvas(pixels.width, pixels.height);
    drawOverlay(whole.getContext("2d") as unknown as CanvasRenderingContext2D, pixels, field, scale, tables.value);
    const tiles = cells.map((cell) => tileOf(field, Math.floor(cell / field.columns), cell % field.columns));
    const [x0, y0, x1, y1] = [0, 1, 2, 3].map((side) => (side < 2 ? Math.min : Math.max)(...tiles.map((tile) => tile[side]!))) as [number, number, number, number];
    const side = Math.min(Math.max((x1 - x0) * pixels.width, (y1 - y0) * pixels.height) * 1.1, pixels.width, pixels.height);
    const left = Math.min(Math.max(((x0 + x1) / 2) * pixels.width - side / 2, 0), pixels.width - side);
    const top = Math.min(Math.max(((y0 + y1) / 2) * pixels.height - side / 2, 0), pixels.height - side);
    canvas.current!.getContext("2d")!.drawImage(whole, left, top, side, side, 0, 0, 104, 104);
  }, [pixels, field, scale.sign, scale.limit, scale.from, cells]);
  return <canvas class="crop" ref={canvas} width={104} height={104} aria-hidden="true" />;
}
