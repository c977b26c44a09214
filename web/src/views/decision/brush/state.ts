// What is brushed: all of it is in the address but the stroke that is being drawn.
import { computed, signal } from "@preact/signals";
import { address, go } from "../../../state/address";
import type { Edit, FillName, Shape } from "../../../wire/altered";
import { EMPTY, formatShape, isEmpty, parseShape } from "./shape";

export const FILLS: readonly (readonly [FillName, string])[] = [
  ["blur", "blur"],
  ["mean", "mean color"],
  ["black", "black"],
  ["noise", "noise"],
  ["impute", "its surroundings"],
];
export const fillName = (fill: FillName) => FILLS.find(([name]) => name === fill)![1];

export const brushing = computed(() => address.value.brush === "hide" || address.value.brush === "keep");
export const keeping = computed(() => address.value.brush === "keep");
export const fill = computed<FillName>(() => FILLS.find(([name]) => name === address.value.fill)?.[0] ?? "blur");
/** The map is that of the altered photo. */
export const explainingLeft = computed(() => brushing.value && address.value.left === "1" && !isEmpty(shape.value));

/** A photo that is brushed shows no map, unless the person says so or asks for that of what is left. */
export function showsMap(): boolean {
  if (explainingLeft.value) return true;
  return brushing.value ? address.value.show === "map" : address.value.show !== "photo";
}

/** The shape while a stroke is being drawn. */
export const drawing = signal<Shape | null>(null);
const drawn = computed(() => parseShape(address.value.shape as string | undefined));
export const shape = computed<Shape>(() => drawing.value ?? drawn.value);

export const edit = computed<Edit | null>(() =>
  brushing.value && !isEmpty(shape.value) ? { shape: shape.value, keep: keeping.value, fill: fill.value } : null,
);

/** The brush: its diameter in fractions of the photo's width, and whether it takes away. */
export const size = signal(0.09);
export const erasing = signal(false);

export function resize(by: number): void {
  size.value = Math.min(Math.max(size.value * by, 0.01), 0.5);
}

export function start(change: { keep?: boolean; shape?: Shape } = {}): void {
  drawing.value = null;
  erasing.value = false;
  const text = change.shape ? formatShape(change.shape) : (address.value.shape as string | undefined);
  go({ brush: change.keep ? "keep" : "hide", shape: text, left: undefined, off: undefined });
}

export function finish(): void {
  drawing.value = null;
  go({ brush: undefined, shape: undefined, left: undefined });
}

export function change(next: Shape): void {
  drawing.value = null;
  go({ shape: formatShape(next) || undefined, left: undefined });
}

export function clear(): void {
  change(EMPTY);
}

/** One stroke less; of a shape without strokes, its positions. */
export function undo(): void {
  const { tiles, strokes } = shape.value;
  change(strokes?.length ? { tiles, strokes: strokes.slice(0, -1) } : EMPTY);
}
