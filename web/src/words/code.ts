// Targets as Python writes them.
const text = (value: string) => JSON.stringify(value);

export function pythonTarget(target: string): string {
  if (!target || target === "predicted") return "";
  const neuron = /^neuron:([^:]+):(\d+)(?::(\d+),(\d+))?$/.exec(target);
  if (neuron) {
    const [, layer, channel, row, column] = neuron;
    return `foveal.Neuron(${text(layer!)}, ${channel}${row ? `, position=(${row}, ${column})` : ""})`;
  }
  const sides = target.split(" - ");
  if (sides.length === 2) {
    const [a, b] = sides.map((side) => (side === "predicted" || side === "runner-up" ? "None" : text(side)));
    return `foveal.Margin(${a}, ${b})`;
  }
  return `foveal.Class(${text(target)})`;
}
