// A part of the photo, with a map on it if there is one.
import { useEffect, useRef } from "preact/hooks";
import { drawOverlay } from "../draw/overlay";
import { useBoxPixels } from "../draw/pixels";
import type { Scale } from "../draw/scale";
import { tables } from "../state/store";
import { within, type Field } from "../wire/map";

interface Props {
  url: string;
  /** x0, y0, x1, y1 in fractions of the photo. */
  box: readonly number[];
  /** Pixels on the page. */
  side: number;
  field?: Field;
  scale?: Scale;
}

export function BoxCrop({ url, box, side, field, scale }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pixels = useBoxPixels(url, box, 2 * side);
  useEffect(() => {
    if (!pixels || !tables.value) return;
    const context = canvas.current!.getContext("2d")!;
    if (field && scale) drawOverlay(context, pixels, within(field, box), scale, tables.value);
    else context.putImageData(pixels, 0, 0);
  }, [pixels, field, scale?.sign, scale?.limit, tables.value]);
  return <canvas class="boxcrop" ref={canvas} width={2 * side} height={2 * side} style={{ width: `${side}px`, height: `${side}px` }} aria-hidden="true" />;
}
