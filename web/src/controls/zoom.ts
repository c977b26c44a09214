// One zoom for all pictures of the page: the wheel zooms about the pointer, dragging pans, a double click resets.
import { signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Scale, and the upper left corner in fractions of the picture. */
const zoom = signal({ k: 1, x: 0, y: 0 });
const MOST = 16;

export function reset(): void {
  zoom.value = { k: 1, x: 0, y: 0 };
}

/** Where a point of the picture (fractions of its size) lies in its frame now. */
export function placed(x: number, y: number): [number, number] {
  const { k, x: left, y: top } = zoom.value;
  return [(x - left) * k, (y - top) * k];
}

function bounded(k: number, x: number, y: number) {
  const room = 1 - 1 / k;
  return { k, x: Math.min(Math.max(x, 0), room), y: Math.min(Math.max(y, 0), room) };
}

export function useZoom(frame: RefObject<HTMLElement | null>) {
  const moved = useRef(false);
  useEffect(() => {
    const element = frame.current!;
    let from: { x: number; y: number } | null = null;
    const wheel = (event: WheelEvent) => {
      if (!event.ctrlKey && zoom.value.k === 1 && event.deltaY > 0) return;
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const [px, py] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
      const { k, x, y } = zoom.value;
      const next = Math.min(Math.max(k * 1.002 ** -event.deltaY, 1), MOST);
      zoom.value = bounded(next, x + px / k - px / next, y + py / k - py / next);
    };
    const down = (event: PointerEvent) => {
      moved.current = false;
      if (zoom.value.k > 1 && event.button === 0) from = { x: event.clientX, y: event.clientY };
    };
    const move = (event: PointerEvent) => {
      if (!from) return;
      const box = element.getBoundingClientRect();
      const { k, x, y } = zoom.value;
      if (Math.hypot(event.clientX - from.x, event.clientY - from.y) > 3) moved.current = true;
      zoom.value = bounded(k, x - (event.clientX - from.x) / box.width / k, y - (event.clientY - from.y) / box.height / k);
      from = { x: event.clientX, y: event.clientY };
    };
    const up = () => (from = null);
    element.addEventListener("wheel", wheel, { passive: false });
    element.addEventListener("pointerdown", down);
    element.addEventListener("pointermove", move);
    element.addEventListener("dblclick", reset);
    addEventListener("pointerup", up);
    return () => {
      element.removeEventListener("wheel", wheel);
      element.removeEventListener("pointerdown", down);
      element.removeEventListener("pointermove", move);
      element.removeEventListener("dblclick", reset);
      removeEventListener("pointerup", up);
    };
  }, []);
  const { k, x, y } = zoom.value;
  return {
    transform: k === 1 ? undefined : `scale(${k}) translate(${-100 * x}%, ${-100 * y}%)`,
    dragged: () => moved.current,
  };
}
