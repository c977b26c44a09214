// Methods whose maps are in points of the explained score, so that their sums can be compared with what hiding costs.
const IN_POINTS = new Set(["hirescam", "inputxgradient", "lrp-epsilon", "lrp-gamma", "lrp-zplus", "lrp-alphabeta", "integratedgradients", "gradientshap", "deeplift", "fam"]);

export function inPoints(method: string): boolean {
  return IN_POINTS.has(method.split(":")[0]!);
}
