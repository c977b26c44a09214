// The decisions of a run as columns: a number for each point.
import { bytesOf } from "../../wire/map";
import type { AtlasAnswer } from "../../wire/types";

export interface TextColumn {
  values: readonly string[];
  /** −1 where a point has none. */
  codes: Int32Array;
}

export interface AtlasData {
  answer: AtlasAnswer;
  count: number;
  /** Every point. */
  all: Int32Array;
  /** Of each point its row in the run. */
  rows: Int32Array;
  /** 0 to 1, x from the left and y from the top. */
  x: Float32Array;
  y: Float32Array;
  texts: ReadonlyMap<string, TextColumn>;
  numbers: ReadonlyMap<string, Float32Array>;
  /** The number of its group; null where the run was not grouped. */
  group: Int32Array | null;
  /** 1 where the predicted class is the label, 0 where it is not, −1 where there is no label; null where none has one. */
  right: Int8Array | null;
}

const decoded = new WeakMap<AtlasAnswer, AtlasData>();

/** Decoded once. */
export function dataOf(answer: AtlasAnswer): AtlasData {
  let data = decoded.get(answer);
  if (!data) {
    data = decode(answer);
    decoded.set(answer, data);
  }
  return data;
}

function decode(answer: AtlasAnswer): AtlasData {
  const places = new Uint16Array(bytesOf(answer.places).buffer);
  const texts = new Map(answer.texts.map(({ name, values, codes }) => [name, { values, codes: ints(codes) }]));
  return {
    answer,
    count: answer.points,
    all: Int32Array.from({ length: answer.points }, (_, i) => i),
    rows: ints(answer.rows),
    x: Float32Array.from({ length: answer.points }, (_, i) => places[2 * i]! / 65535),
    y: Float32Array.from({ length: answer.points }, (_, i) => places[2 * i + 1]! / 65535),
    texts,
    numbers: new Map(answer.numbers.map(({ name, values }) => [name, new Float32Array(bytesOf(values).buffer)])),
    group: answer.group ? ints(answer.group) : null,
    right: rightOf(texts),
  };
}

function ints(base64: string): Int32Array {
  return new Int32Array(bytesOf(base64).buffer);
}

function rightOf(texts: AtlasData["texts"]): Int8Array | null {
  const [predicted, label] = [texts.get("predicted"), texts.get("label")];
  if (!predicted || !label) return null;
  const same = label.values.map((value) => predicted.values.indexOf(value));
  return Int8Array.from(label.codes, (code, i) => (code < 0 || predicted.codes[i]! < 0 ? -1 : Number(same[code] === predicted.codes[i])));
}

/** The mean of a column over some points, without those that have no number; NaN where none has one. */
export function meanOf(column: ArrayLike<number>, points: ArrayLike<number>): number {
  let [sum, known] = [0, 0];
  for (let i = 0; i < points.length; i++) {
    const value = column[points[i]!]!;
    if (!Number.isFinite(value)) continue;
    sum += value;
    known++;
  }
  return known ? sum / known : NaN;
}

/** How many points have each value of a column, the most frequent first. */
export function countsOf({ values, codes }: TextColumn, points: ArrayLike<number>): { name: string; code: number; count: number }[] {
  const counts = new Int32Array(values.length);
  for (let i = 0; i < points.length; i++) {
    const code = codes[points[i]!]!;
    if (code >= 0) counts[code]!++;
  }
  const all = values.map((name, code) => ({ name, code, count: counts[code]! }));
  return all.filter((one) => one.count > 0).sort((a, b) => b.count - a.count || a.code - b.code);
}
