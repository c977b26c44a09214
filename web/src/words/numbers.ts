// Numbers as a person reads them: a true minus, one decimal for points, integers for percent, never "−0.0".
const MINUS = "\u2212";
const THIN = "\u202f";

export function points(value: number, signed = false): string {
  const text = Math.abs(value) >= 0.05 || value === 0 ? Math.abs(value).toFixed(1) : tiny(Math.abs(value));
  const zero = Number(text) === 0;
  return (value < 0 && !zero ? MINUS : signed && !zero ? "+" : "") + text;
}

function tiny(size: number): string {
  return size >= 0.0005 ? size.toPrecision(1) : "0.0";
}

/** A value of a map: three digits. */
export function raw(value: number, signed = false): string {
  if (!Number.isFinite(value)) return "not a number";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-4 ? size.toExponential(1) : Number(size.toPrecision(size >= 100 ? 3 : 2)).toString();
  return (value < 0 ? MINUS : signed ? "+" : "") + text.replace("-", MINUS);
}

export function percent(share: number): string {
  const size = Math.abs(share) * 100;
  const text = size >= 9.95 || size === 0 ? Math.round(size).toString() : size.toFixed(1).replace(/\.0$/, "");
  return `${share < 0 && size ? MINUS : ""}${text}${THIN}%`;
}

/** A probability: "<0.1 %" and ">99.9 %" rather than a rounded 0 or 100. */
export function chance(probability: number): string {
  const size = probability * 100;
  if (size < 0.1) return `<0.1${THIN}%`;
  if (size > 99.95 && size < 100) return `>99.9${THIN}%`;
  return `${size.toFixed(1)}${THIN}%`;
}

export function seconds(value: number): string {
  if (value < 0.01) return "under 0.01 s";
  return value < 1 ? `${value.toFixed(2)} s` : value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : plural}`;
}

/** Points with a sign, two decimals: for sums of which each part is small. */
export function signedPoints(value: number): string {
  const text = Math.abs(value).toFixed(2);
  return (Number(text) === 0 ? "" : value < 0 ? MINUS : "+") + text;
}
