// A square of a photo, about a box.
import type { PhotoEntry } from "../wire/types";

interface Props {
  photo: PhotoEntry;
  /** x0, y0, x1, y1 in fractions of the photo. */
  box: readonly number[];
}

export function Cutout({ photo, box }: Props) {
  const { width, height } = photo;
  const [x0, y0, x1, y1] = box as [number, number, number, number];
  const side = Math.min(Math.max((x1 - x0) * width, (y1 - y0) * height), width, height);
  const corner = (middle: number, most: number) => Math.min(Math.max(middle - side / 2, 0), most - side);
  const left = corner(((x0 + x1) / 2) * width, width);
  const top = corner(((y0 + y1) / 2) * height, height);
  const share = (start: number, most: number) => `${most > side ? (100 * start) / (most - side) : 0}%`;
  return (
    <span
      class="cutout"
      style={{
        backgroundImage: `url("${photo.url}")`,
        backgroundSize: `${(100 * width) / side}% ${(100 * height) / side}%`,
        backgroundPosition: `${share(left, width)} ${share(top, height)}`,
      }}
    />
  );
}
