// What a person paints with on the photo: by pointer, by finger, or by the arrows and Enter.
import { useEffect, useRef, useState } from "preact/hooks";
import { percent } from "../../../words/numbers";
import type { Stroke } from "../../../wire/altered";
import type { PhotoEntry } from "../../../wire/types";
import { change, drawing, erasing, keeping, shape, size } from "./state";
import { drawOutline } from "./outline";
import { settled } from "./shape";

type Point = [number, number];
const MOVES: Record<string, Point> = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const MOST = 600; // points of a stroke

export function BrushLayer({ photo }: { photo: PhotoEntry }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [at, setAt] = useState<Point | null>(null);
  const stroke = useRef<Stroke | null>(null);
  const home = useRef<HTMLDivElement>(null);
  const tall = photo.height / photo.width;

  useEffect(() => home.current!.focus(), []); // on narrow pages the button is far below the photo

  useEffect(() => {
    const context = canvas.current!.getContext("2d")!;
    const dense = Math.min(devicePixelRatio, 2);
    canvas.current!.width = Math.round(Math.max(canvas.current!.clientWidth, 1) * dense);
    canvas.current!.height = Math.round(Math.max(canvas.current!.clientHeight, 1) * dense);
    drawOutline(context, shape.value, dense);
  }, [shape.value, photo]);

  const point = (event: PointerEvent): Point => {
    const box = canvas.current!.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const draw = (points: readonly (readonly number[])[]) => {
    const { tiles, strokes } = settled(shape.value);
    const before = drawing.value ? strokes.slice(0, -1) : strokes;
    stroke.current = { radius: size.value / 2, points, erase: erasing.value };
    drawing.value = settled({ tiles, strokes: [...before, stroke.current] });
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    draw([point(event)]);
  };
  const move = (event: PointerEvent) => {
    const now = point(event);
    setAt(now);
    const points = stroke.current?.points;
    if (!points || points.length >= MOST) return;
    const [x, y] = points.at(-1)! as Point;
    if (Math.hypot(now[0] - x, (now[1] - y) * tall) >= size.value / 8) draw([...points, now]);
  };
  const up = () => {
    if (stroke.current && drawing.value) change(drawing.value);
    stroke.current = null;
  };
  const press = (event: KeyboardEvent) => {
    const [x, y] = at ?? [0.5, 0.5];
    const by = MOVES[event.key];
    if (by) {
      const step = event.shiftKey ? 0.01 : size.value / 2;
      setAt([Math.min(Math.max(x + by[0] * step, 0), 1), Math.min(Math.max(y + (by[1] * step) / tall, 0), 1)]);
    } else if (event.key === "Enter") {
      if (!at) setAt([x, y]);
      draw([[x, y]]);
      up();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      class="brush"
      ref={home}
      role="application"
      aria-roledescription="brush on the photo"
      aria-label={`Brush: ${keeping.value ? "what is painted is kept" : "what is painted is hidden"}. Arrows move, Enter paints.`}
      tabIndex={0}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={up}
      onPointerCancel={up}
      onPointerLeave={() => stroke.current || setAt(null)}
      onKeyDown={press}
    >
      <canvas ref={canvas} aria-hidden="true" />
      {at && (
        <i class="tip" style={{ left: `${100 * at[0]}%`, top: `${100 * at[1]}%`, width: `${100 * size.value}%` }} />
      )}
      <span class="spoken" aria-live="polite">
        {at && !stroke.current ? `${percent(at[0])} from the left, ${percent(at[1])} from the top` : ""}
      </span>
    </div>
  );
}
