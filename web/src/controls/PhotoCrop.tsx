// A piece of a photo around a box, which is outlined.
import type { PhotoEntry } from "../wire/types";

const AROUND = 5; // the piece is so many times as wide as the box
const LEAST = 0.14; // of the photo's shorter side

interface Props {
  photo: PhotoEntry;
  /** x0, y0, x1, y1 in fractions of the photo. */
  box: readonly [number, number, number, number];
  /** Of the piece on the page, in pixels. */
  size?: number;
}

export function PhotoCrop({ photo: { url, width, height }, box: [x0, y0, x1, y1], size = 76 }: Props) {
  const short = Math.min(width, height);
  const wide = Math.max((x1 - x0) * width, (y1 - y0) * height);
  const side = Math.min(Math.max(AROUND * wide, LEAST * short), short);
  const left = within(((x0 + x1) / 2) * width - side / 2, width - side);
  const top = within(((y0 + y1) / 2) * height - side / 2, height - side);
  const zoom = size / side;
  return (
    <span
      class="piece"
      aria-hidden="true"
      style={{
        width: px(size),
        height: px(size),
        backgroundImage: `url("${url}")`,
        backgroundSize: `${px(width * zoom)} ${px(height * zoom)}`,
        backgroundPosition: `${px(-left * zoom)} ${px(-top * zoom)}`,
      }}
    >
      <i style={{ left: px((x0 * width - left) * zoom), top: px((y0 * height - top) * zoom), width: px((x1 - x0) * width * zoom), height: px((y1 - y0) * height * zoom) }} />
    </span>
  );
}

function px(length: number): string {
  return `${length}px`;
}

function within(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most);
}
