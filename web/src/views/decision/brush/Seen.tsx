// The part of the photo that the network sees, where that is not all of it: beyond it there is nothing to hide.
import type { Field } from "../../../wire/map";

export function Seen({ field }: { field: Field }) {
  const [x0, y0, x1, y1] = field.grid.seen as [number, number, number, number];
  if ((x1 - x0) * (y1 - y0) > 0.98) return null;
  return <rect class="seen" x={x0} y={y0} width={x1 - x0} height={y1 - y0} />;
}
