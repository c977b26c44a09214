// The line around a shape: white on dark, so that it shows on every photo.
import type { Shape } from "../../../wire/altered";

export function drawOutline(context: CanvasRenderingContext2D, shape: Shape, dense: number): void {
  const { width, height } = context.canvas;
  context.clearRect(0, 0, width, height);
  const mask = new OffscreenCanvas(width, height);
  fillShape(mask.getContext("2d")!, shape);
  for (const [color, reach] of [
    ["#111", 2.4],
    ["#fff", 1.5],
  ] as const) {
    const tinted = new OffscreenCanvas(width, height);
    const inner = tinted.getContext("2d")!;
    inner.drawImage(mask, 0, 0);
    inner.globalCompositeOperation = "source-in";
    inner.fillStyle = color;
    inner.fillRect(0, 0, width, height);
    for (let turn = 0; turn < 16; turn++) {
      const angle = (turn / 8) * Math.PI;
      context.drawImage(tinted, Math.cos(angle) * reach * dense, Math.sin(angle) * reach * dense);
    }
  }
  context.globalCompositeOperation = "destination-out";
  context.drawImage(mask, 0, 0);
  context.globalCompositeOperation = "source-over";
}

function fillShape(context: OffscreenCanvasRenderingContext2D, { tiles, strokes }: Shape): void {
  const { width, height } = context.canvas;
  context.fillStyle = context.strokeStyle = "#fff";
  context.lineCap = context.lineJoin = "round";
  if (tiles) {
    const [[ox, oy], [dx, dy]] = [tiles.offset as [number, number], tiles.step as [number, number]];
    for (const [row, first, last] of tiles.runs as [number, number, number][]) {
      const [x0, x1] = [(ox + (first - 0.5) * dx) * width, (ox + (last + 0.5) * dx) * width];
      const [y0, y1] = [(oy + (row - 0.5) * dy) * height, (oy + (row + 0.5) * dy) * height];
      context.fillRect(Math.min(x0, x1), Math.min(y0, y1) - 0.5, Math.abs(x1 - x0), Math.abs(y1 - y0) + 1);
    }
  }
  for (const { radius, points, erase } of strokes ?? []) {
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.lineWidth = 2 * radius * width;
    context.beginPath();
    points.forEach((point, i) => {
      const [x, y] = [point[0]! * width, point[1]! * height];
      if (i === 0) context.moveTo(x, y);
      context.lineTo(x, y);
    });
    context.stroke();
  }
}
