// The photo with a map on it: hover tells a position's value, the wheel zooms, dragging pans, arrows move by a position.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { crossFade } from "../draw/fade";
import { drawOverlay } from "../draw/overlay";
import { usePatched, usePixels } from "../draw/pixels";
import type { Scale } from "../draw/scale";
import { tables } from "../state/store";
import { positionAt, tileOf, type Field } from "../wire/map";
import type { Patch } from "../wire/altered";
import type { PhotoEntry } from "../wire/types";
import { reset, useZoom } from "./zoom";

interface Props {
  photo: PhotoEntry;
  /** What the picture shows, in words. */
  alt: string;
  describedBy?: string;
  field?: Field | null;
  scale?: Scale;
  /** Long side of the drawing in pixels; larger photos are reduced to it. */
  side?: number;
  /** The position under the pointer or the keyboard. */
  position?: [number, number] | null;
  onPosition?: (position: [number, number] | null) => void;
  onChoose?: (position: [number, number]) => void;
  /** SVG in fractions of the photo: 0..1 each way. */
  children?: ComponentChildren;
  /** What stands in the photo instead, as the network gets it. */
  patch?: Patch | null;
  /** What lies on the photo, and moves and grows with it. */
  over?: ComponentChildren;
}

const MOVES: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export function PhotoMap({ photo, alt, describedBy, field, scale, side = 640, position, onPosition, onChoose, children, patch = null, over }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const drawn = useRef<Field | null>(null);
  const pixels = usePatched(usePixels(photo.url, side), patch);
  const [plain, setPlain] = useState(false);
  const zoom = useZoom(frame);

  // Before the next frame, not after it.
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || !pixels || !tables.value) return;
    if (drawn.current && field && drawn.current !== field) crossFade(canvas.current!);
    drawn.current = field ?? null;
    canvas.current!.width = pixels.width;
    canvas.current!.height = pixels.height;
    if (field && scale && !plain) drawOverlay(context, pixels, field, scale, tables.value);
    else context.putImageData(pixels, 0, 0);
  }, [pixels, field, scale?.sign, scale?.limit, scale?.from, plain, tables.value]);

  const point = (event: PointerEvent | MouseEvent): [number, number] | null => {
    const box = canvas.current!.getBoundingClientRect();
    return field ? positionAt(field, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height) : null;
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === " ") {
      event.preventDefault();
      setPlain(true);
    }
    const move = MOVES[event.key];
    if (move && field && onPosition) {
      event.preventDefault();
      const [row, column] = position ?? [Math.floor(field.rows / 2), Math.floor(field.columns / 2)];
      const within = (value: number, most: number) => Math.min(Math.max(value, 0), most - 1);
      onPosition([within(row + move[0], field.rows), within(column + move[1], field.columns)]);
    }
    if (event.key === "Enter" && position) onChoose?.(position);
    if (event.key === "0") reset();
  };
  const cell = field && position ? tileOf(field, ...position) : null;
  const lines = (
    <>
      {children}
      {cell && <rect class="cell" x={cell[0]} y={cell[1]} width={cell[2] - cell[0]} height={cell[3] - cell[1]} />}
    </>
  );
  const live = Boolean(field && onPosition);
  return (
    <div
      class="photomap"
      ref={frame}
      role={live ? "application" : undefined}
      aria-roledescription={live ? "photo with a map" : undefined}
      aria-label={live ? alt : undefined}
      aria-describedby={describedBy}
      tabIndex={live ? 0 : undefined}
      onKeyDown={press}
      onKeyUp={(event) => event.key === " " && setPlain(false)}
      onPointerMove={(event) => onPosition?.(point(event))}
      onPointerLeave={() => onPosition?.(null)}
      onClick={(event) => {
        const chosen = point(event);
        if (chosen && !zoom.dragged()) onChoose?.(chosen);
      }}
      style={{ aspectRatio: `${photo.width} / ${photo.height}`, "--aspect": photo.width / photo.height }}
    >
      <div class="zoomed" style={{ transform: zoom.transform }}>
        <canvas ref={canvas} role="img" aria-label={alt} />
        {!plain && (
          <>
            <Lines halo>{lines}</Lines>
            <Lines>{lines}</Lines>
          </>
        )}
        {over}
      </div>
    </div>
  );
}

/** Lines in fractions of the photo; drawn white on a dark halo, so that they show on every photo. */
function Lines({ halo = false, children }: { halo?: boolean; children: ComponentChildren }) {
  return (
    <svg class={halo ? "halo" : undefined} viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
      {children}
    </svg>
  );
}
