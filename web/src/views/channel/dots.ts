// Dots stacked over an axis.

export interface Stacked {
  /** In the order of the values; y counts up from the axis. */
  dots: { x: number; y: number }[];
  radius: number;
  ticks: number[];
  x: (value: number) => number;
}

export function stacked(values: readonly number[], wide: number, high: number): Stacked {
  const most = Math.max(...values, 1e-9);
  const least = Math.min(0, ...values);
  let step = 8;
  const edge = 6;
  const x = (value: number) => edge + ((value - least) / (most - least)) * (wide - 2 * edge);
  const columns = (pitch: number) => values.map((value) => Math.round(x(value) / pitch));
  const tallest = (pitch: number) => {
    const heights = new Map<number, number>();
    for (const column of columns(pitch)) heights.set(column, (heights.get(column) ?? 0) + 1);
    return Math.max(0, ...heights.values());
  };
  while (step > 2 && tallest(step) * step > high) step -= 0.5;
  const pile = Math.min(step, high / Math.max(tallest(step), 1));
  const heights = new Map<number, number>();
  const dots = columns(step).map((column) => {
    const level = heights.get(column) ?? 0;
    heights.set(column, level + 1);
    return { x: column * step, y: level * pile };
  });
  return { dots, radius: Math.max(step / 2 - 0.6, 0.8), ticks: ticksOf(least, most), x };
}

/** Round numbers from the least to the most, about five. */
function ticksOf(least: number, most: number): number[] {
  const rough = (most - least) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough)! * power;
  const ticks: number[] = [];
  for (let tick = Math.ceil(least / step) * step; tick <= most; tick += step) ticks.push(Number(tick.toPrecision(6)));
  return ticks;
}
