// Targets as Python writes them.
const STAND_INS = ["predicted", "runner-up"];
const text = (value: string) => JSON.stringify(value);

/** `asked` are the classes that it turned out to be about. */
export function pythonTarget(target: string, asked: readonly string[] = []): string {
  if (!target || target === "predicted") return "";
  if (target.startsWith("own:")) return target.slice(4);
  const neuron = /^neuron:([^:]+):(\d+)(?::(\d+),(\d+))?$/.exec(target);
  if (neuron) {
    const [, layer, channel, row, column] = neuron;
    return `foveal.Neuron(${text(layer!)}, ${channel}${row ? `, position=(${row}, ${column})` : ""})`;
  }
  const sides = target.split(" - ");
  if (sides.length === 2) {
    const [a, b] = sides.map((side, i) => (STAND_INS.includes(side) ? (asked[i] ? text(asked[i]) : "None") : text(side)));
    return `foveal.Margin(${a}, ${b})`;
  }
  return `foveal.Class(${text(target)})`;
}
