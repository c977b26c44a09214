// Lines over both photos, from position to position: as thick as what the pair adds.
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { placed } from "../../controls/zoom";
import { hovered } from "../../state/store";
import type { Field } from "../../wire/map";

export interface Line {
  query: [number, number];
  reference: [number, number];
  value: number;
}

interface Props {
  home: RefObject<HTMLElement | null>;
  lines: readonly Line[];
  fields: readonly Field[];
  current: number;
  /** What moves the photos when it changes. */
  watch: readonly unknown[];
}

type Point = [number, number];

const REACH = 6; // pixels

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export function Lines({ home, lines, fields, current, watch }: Props) {
  const boxes = useBoxes(home, watch);
  const most = Math.max(...lines.map((line) => line.value));
  const drawn = boxes.length < 2 ? [] : lines.flatMap((line, i) => {
    const [from, to] = [point(fields[0]!, line.query, boxes[0]!), point(fields[1]!, line.reference, boxes[1]!)];
    return from && to ? [{ i, from, to, width: 0.75 + (2.25 * line.value) / most }] : [];
  });
  usePointed(home, drawn);
  const order = [...drawn.filter((line) => line.i !== current), ...drawn.filter((line) => line.i === current)];
  if (!drawn.length) return null;
  return (
    <svg class="lines" aria-hidden="true">
      {order.map(({ i, from, to, width }) => {
        const ends = { x1: from[0], y1: from[1], x2: to[0], y2: to[1] };
        return (
          <g class={i === current ? "current" : ""}>
            <line class="casing" {...ends} stroke-width={width + 2.4} />
            <line class="stroke" {...ends} stroke-width={width} />
            <circle cx={from[0]} cy={from[1]} r="3.5" />
            <circle cx={to[0]} cy={to[1]} r="3.5" />
          </g>
        );
      })}
    </svg>
  );
}

/** The line under the pointer is the hovered thing; the photos below it still get the pointer. */
function usePointed(home: RefObject<HTMLElement | null>, drawn: readonly { i: number; from: Point; to: Point }[]): void {
  const now = useRef(drawn);
  now.current = drawn;
  useEffect(() => {
    const element = home.current!;
    const move = (event: PointerEvent) => {
      const { x, y } = element.getBoundingClientRect();
      const at: Point = [event.clientX - x, event.clientY - y];
      const near = now.current.map(({ i, from, to }) => ({ i, away: distance(at, from, to) })).sort((a, b) => a.away - b.away)[0];
      pointAt(near && near.away < REACH ? near.i : null);
    };
    const leave = () => pointAt(null);
    element.addEventListener("pointermove", move);
    element.addEventListener("pointerleave", leave);
    return () => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("pointerleave", leave);
    };
  }, []);
}

function pointAt(line: number | null): void {
  const before = hovered.value?.kind === "line" ? hovered.value.id : null;
  if (line !== null && before !== String(line)) hovered.value = { kind: "line", id: String(line) };
  if (line === null && before !== null) hovered.value = null;
}

/** From a point to a line between two others; its ends attract, for lines lie on one another. */
function distance([x, y]: Point, [x0, y0]: Point, [x1, y1]: Point): number {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const along = Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1), 0), 1);
  const end = Math.min(Math.hypot(x - x0, y - y0), Math.hypot(x - x1, y - y1));
  return Math.min(Math.hypot(x - x0 - along * dx, y - y0 - along * dy), end - REACH / 2);
}

/** The middle of a position on the page; null where zooming has moved it out of its photo. */
function point(field: Field, [row, column]: [number, number], box: Box): Point | null {
  const at = placed(field.grid.offset[0]! + column * field.grid.step[0]!, field.grid.offset[1]! + row * field.grid.step[1]!);
  if (at.some((value) => value < 0 || value > 1)) return null;
  return [box.x + at[0] * box.width, box.y + at[1] * box.height];
}

/** Where the photos lie in `home`, whatever the width of the page. */
function useBoxes(home: RefObject<HTMLElement | null>, watch: readonly unknown[]): Box[] {
  const [boxes, setBoxes] = useState<Box[]>([]);
  useEffect(() => {
    const element = home.current!;
    const photos = [...element.querySelectorAll(".photomap")];
    const measure = () => {
      const origin = element.getBoundingClientRect();
      setBoxes(
        photos.map((photo) => {
          const { x, y, width, height } = photo.getBoundingClientRect();
          return { x: x - origin.x, y: y - origin.y, width, height };
        }),
      );
    };
    const observer = new ResizeObserver(measure);
    [element, ...photos].forEach((one) => observer.observe(one));
    return () => observer.disconnect();
  }, watch);
  return boxes;
}
