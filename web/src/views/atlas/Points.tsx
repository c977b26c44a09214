// Every decision as a point: move, zoom, draw an area, choose one.
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Segmented } from "../../controls/Segmented";
import { useWidth } from "../../controls/width";
import { count } from "../../words/numbers";
import { areaText, type Choice } from "./choice";
import type { Coloring, Rgb } from "./colors";
import type { AtlasData } from "./data";
import { drawPoints, placed, pointAt, radiusOf } from "./draw";
import { useDark } from "./dark";
import { useMotion, type Tool } from "./useMotion";

interface Props {
  data: AtlasData;
  states: Uint8Array;
  choice: Choice;
  coloring: Coloring;
  /** The point whose row is open, and the one under the pointer. */
  open: number | null;
  over: number | null;
  onOver: (point: number | null) => void;
  onChoose: (point: number) => void;
  onArea: (area: string) => void;
  /** What floats beside the point under the pointer. */
  children?: ComponentChildren;
}

const TOOLS: readonly { value: Tool; title: string; hint: string }[] = [
  { value: "move", title: "Move", hint: "drag to move; with Shift a lasso" },
  { value: "lasso", title: "Lasso", hint: "draw around decisions to select them" },
  { value: "rectangle", title: "Rectangle", hint: "draw a rectangle to select what is in it" },
];

export function Points({ data, states, choice, coloring, open, over, onOver, onChoose, onArea, children }: Props) {
  const home = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [tool, setTool] = useState<Tool>("move");
  const side = useWidth(home, 600);
  const ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
  const motion = useMotion(canvas, tool, {
    onArea: (corners) => onArea(areaText(corners)),
    onPoint: (px, py, chosen) => {
      const point = pointAt(data, states, motion.camera, side, px, py);
      if (!chosen) onOver(point);
      else if (point !== null) onChoose(point);
    },
    onLeave: () => onOver(null),
  });
  const { camera, drawn } = motion;
  const dark = useDark();
  useLayoutEffect(() => {
    const element = canvas.current!;
    element.width = element.height = Math.round(side * ratio);
    const style = getComputedStyle(element);
    drawPoints(element.getContext("2d")!, data, states, coloring, camera, ratio, { paper: rgb(style.backgroundColor), ink: rgb(style.color) });
  }, [data, states, coloring, camera, side, ratio, dark]);
  const ring = (point: number | null, name: string) => {
    if (point === null) return null;
    const [x, y] = placed(camera, side, data.x[point]!, data.y[point]!);
    return <circle class={name} cx={x} cy={y} r={radiusOf(data.count, side, camera) + 3} />;
  };
  const corners = drawn.length ? drawn : (choice.area ?? []).map(([x, y]) => placed(camera, side, x, y));
  const [left, top] = over === null ? [0, 0] : placed(camera, side, data.x[over]!, data.y[over]!);
  return (
    <div class="points">
      <div class="controls">
        <Segmented label="What dragging does" options={TOOLS} value={tool} onChange={setTool} />
        <span class="zooms">
          <button type="button" aria-label="Closer" title="Closer (+)" onClick={() => motion.zoom(1.5)}>
            +
          </button>
          <button type="button" aria-label="Farther" title="Farther (−)" onClick={() => motion.zoom(1 / 1.5)}>
            −
          </button>
          <button type="button" title="Whole (0)" disabled={camera.k === 1} onClick={motion.reset}>
            Whole
          </button>
        </span>
      </div>
      <div class={`field ${tool}`} ref={home} style={{ height: `${side}px` }}>
        <canvas
          ref={canvas}
          tabIndex={0}
          role="application"
          aria-roledescription="atlas"
          aria-label={`${count(data.count, "decision")} as points, near each other where their ${data.answer.by} are alike. Arrows move, plus and minus zoom, 0 shows all. The lists of classes and groups select without a pointer.`}
          onKeyDown={motion.press}
        />
        <svg width={side} height={side} aria-hidden="true">
          {corners.length > 1 && <polygon points={corners.map((corner) => corner.join()).join(" ")} />}
          {ring(open, "open")}
          {ring(over, "over")}
        </svg>
        {over !== null && children && (
          <div class="float" style={{ ...(left > side / 2 ? { right: `${side - left + 14}px` } : { left: `${left + 14}px` }), ...(top > side / 2 ? { bottom: `${side - top + 14}px` } : { top: `${top + 14}px` }) }}>
            {children}
          </div>
        )}
      </div>
    </div>
  );
}

function rgb(color: string): Rgb {
  const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).map(Number);
  return [r, g, b];
}

