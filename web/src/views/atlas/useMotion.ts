// Pointer and keys on the atlas: move, zoom, draw an area, choose a point.
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Corner } from "./choice";
import { unplaced, type Camera } from "./draw";

export type Tool = "move" | "lasso" | "rectangle";

export const WHOLE: Camera = { k: 1, x: 0, y: 0 };
const MOST = 40;
const APART = 6; // pixels between two corners of a lasso
const CORNERS = 64;
const STILL = 4; // pixels that a click may move

interface Motion {
  camera: Camera;
  /** The area in the making, in pixels. */
  drawn: readonly Corner[];
  zoom: (factor: number) => void;
  press: (event: KeyboardEvent) => void;
  reset: () => void;
}

interface Heard {
  onArea: (corners: Corner[]) => void;
  onPoint: (px: number, py: number, chosen: boolean) => void;
  onLeave: () => void;
}

export function useMotion(canvas: RefObject<HTMLCanvasElement | null>, tool: Tool, heard: Heard): Motion {
  const [camera, setCamera] = useState(WHOLE);
  const [drawn, setDrawn] = useState<readonly Corner[]>([]);
  const now = useRef({ camera, tool, heard, drawn });
  now.current = { camera, tool, heard, drawn };
  const zoomAt = (factor: number, px: number, py: number, side: number) =>
    setCamera((before) => {
      const [x, y] = unplaced(before, side, px, py);
      const k = Math.min(Math.max(before.k * factor, 1), MOST);
      return bounded({ k, x: x - ((x - before.x) * before.k) / k, y: y - ((y - before.y) * before.k) / k });
    });
  const zoom = (factor: number) => {
    const side = canvas.current!.clientWidth;
    zoomAt(factor, side / 2, side / 2, side);
  };
  useEffect(() => {
    const element = canvas.current!;
    let from: { x: number; y: number; draws: boolean } | null = null;
    let moved = false;
    const at = (event: MouseEvent): Corner => {
      const box = element.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      zoomAt(1.0025 ** -event.deltaY, ...at(event), element.clientWidth);
    };
    const down = (event: PointerEvent) => {
      if (event.button !== 0) return;
      const [x, y] = at(event);
      from = { x, y, draws: now.current.tool !== "move" || event.shiftKey };
      moved = false;
      element.setPointerCapture(event.pointerId);
      if (from.draws) setDrawn([[x, y]]);
    };
    const move = (event: PointerEvent) => {
      const [x, y] = at(event);
      if (!from) return now.current.heard.onPoint(x, y, false);
      if (Math.hypot(x - from.x, y - from.y) > STILL) moved = true;
      if (from.draws) return setDrawn((before) => grown(before, [x, y], now.current.tool));
      const scale = (element.clientWidth - 28) * now.current.camera.k;
      const [dx, dy] = [(x - from.x) / scale, (y - from.y) / scale];
      from = { ...from, x, y };
      if (moved) setCamera((before) => bounded({ ...before, x: before.x - dx, y: before.y - dy }));
    };
    const up = (event: PointerEvent) => {
      if (!from) return;
      const { camera: seen, drawn: corners, heard: tell } = now.current;
      if (!moved) tell.onPoint(...at(event), true);
      else if (from.draws && corners.length > 2) tell.onArea(thinned(corners).map(([x, y]) => unplaced(seen, element.clientWidth, x, y)));
      from = null;
      setDrawn([]);
    };
    const leave = () => now.current.heard.onLeave();
    const events = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up, pointerleave: leave } as const;
    for (const [name, hear] of Object.entries(events)) element.addEventListener(name, hear as EventListener);
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      for (const [name, hear] of Object.entries(events)) element.removeEventListener(name, hear as EventListener);
      element.removeEventListener("wheel", wheel);
    };
  }, []);
  const press = (event: KeyboardEvent) => {
    const step = 0.15 / camera.k;
    const moves: Record<string, () => void> = {
      ArrowLeft: () => setCamera(bounded({ ...camera, x: camera.x - step })),
      ArrowRight: () => setCamera(bounded({ ...camera, x: camera.x + step })),
      ArrowUp: () => setCamera(bounded({ ...camera, y: camera.y - step })),
      ArrowDown: () => setCamera(bounded({ ...camera, y: camera.y + step })),
      "+": () => zoom(1.5),
      "-": () => zoom(1 / 1.5),
      "0": () => setCamera(WHOLE),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]!();
  };
  return { camera, drawn, zoom, press, reset: () => setCamera(WHOLE) };
}

/** The middle of what is seen stays inside of the atlas. */
function bounded({ k, x, y }: Camera): Camera {
  const half = 0.5 / k;
  const within = (value: number) => Math.min(Math.max(value, -half), 1 - half);
  return k === 1 ? WHOLE : { k, x: within(x), y: within(y) };
}

function grown(before: readonly Corner[], [x, y]: Corner, tool: Tool): readonly Corner[] {
  const [first] = before;
  if (!first) return [[x, y]];
  if (tool === "rectangle") return [first, [x, first[1]], [x, y], [first[0], y]];
  const [lastX, lastY] = before.at(-1)!;
  return Math.hypot(x - lastX, y - lastY) < APART ? before : [...before, [x, y]];
}

function thinned(corners: readonly Corner[]): readonly Corner[] {
  const step = Math.ceil(corners.length / CORNERS);
  return corners.filter((_, i) => i % step === 0);
}
