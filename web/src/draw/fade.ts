// What a canvas showed lies over it for a moment and vanishes, so that one map becomes the other.
const MOVE = 120; // milliseconds

export function crossFade(canvas: HTMLCanvasElement): void {
  if (!canvas.width || !canvas.height || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const before = document.createElement("canvas");
  before.width = canvas.width;
  before.height = canvas.height;
  before.getContext("2d")!.drawImage(canvas, 0, 0);
  before.setAttribute("aria-hidden", "true");
  before.className = "fading";
  Object.assign(before.style, { left: `${canvas.offsetLeft}px`, top: `${canvas.offsetTop}px`, width: `${canvas.offsetWidth}px`, height: `${canvas.offsetHeight}px` });
  canvas.after(before);
  before.animate([{ opacity: 1 }, { opacity: 0 }], { duration: MOVE, easing: "ease-out" }).finished.then(
    () => before.remove(),
    () => before.remove(),
  );
}
