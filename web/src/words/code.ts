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
  if (target.startsWith("group:")) return group(target.slice("group:".length));
  const sides = target.split(" - ");
  const rivals = /^rivals(?::([^:]+))?(?::([\d.]+))?$/.exec(sides[1] ?? "");
  if (sides.length === 2 && rivals) return against(sides[0]!, rivals[1], rivals[2]);
  if (sides.length === 2) {
    const [a, b] = sides.map((side, i) => (STAND_INS.includes(side) ? (asked[i] ? text(asked[i]) : "None") : text(side)));
    return `foveal.Margin(${a}, ${b})`;
  }
  return `foveal.Class(${text(target)})`;
}

const list = (names: string) =>
  names
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
const one = (name: string) => (/^\d+$/.test(name) ? name : text(name));

function group(target: string): string {
  const cut = target.lastIndexOf("=");
  const members = list(target.slice(cut + 1)).map((name) => {
    const run = /^(\d+)-(\d+)$/.exec(name);
    return run ? `*range(${run[1]}, ${Number(run[2]) + 1})` : one(name);
  });
  return `foveal.Group([${members.join(", ")}]${cut > 0 ? `, name=${text(target.slice(0, cut).trim())}` : ""})`;
}

function against(which: string, who?: string, strength?: string): string {
  const rivals = !who ? "" : /^\d+$/.test(who) ? `k=${who}` : `rivals=[${list(who).map(one).join(", ")}]`;
  const options = [which === "predicted" ? "" : one(which), rivals, strength ? `strength=${strength}` : ""];
  return `foveal.Against(${options.filter(Boolean).join(", ")})`;
}
