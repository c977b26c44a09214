/** A box in fractions of the photo, as an SVG path. */
export function outlineOfBox([x0, y0, x1, y1]: readonly number[]): string {
  return `M${x0} ${y0}H${x1}V${y1}H${x0}Z`;
}
