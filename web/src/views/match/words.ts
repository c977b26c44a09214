// A match in words.
import type { PhotoEntry } from "../../wire/types";
import { photoName } from "../../words/names";

const MINUS = "\u2212";
const NAMES: Record<string, string> = { cosine: "Cosine", dot: "Dot product", euclidean: "Euclidean distance", squared: "Squared distance", nearest: "Similarity of nearest positions" };

export function metricName(metric: string): string {
  return NAMES[metric] ?? metric;
}

/** Three decimals: similarities of different photos often differ in the second. */
export function likeness(value: number): string {
  const size = Math.abs(value);
  const text = size >= 100 ? size.toPrecision(4) : size.toFixed(3);
  return (value < 0 && Number(text) !== 0 ? MINUS : "") + text;
}

/** Two digits of a small share: the peaks are often less than a per mille. */
export function tinyShare(share: number): string {
  const size = Math.abs(100 * share);
  const text = size >= 10 ? Math.round(size).toString() : Number(size.toPrecision(size < 1 ? 1 : 2)).toString();
  return `${share < 0 ? MINUS : ""}${text}\u202f%`;
}

/** "the 128 numbers that go into head". */
export function compared(numbers: number, embedding: string): string {
  const [layer, input] = [embedding.replace(/\.input$/, ""), embedding.endsWith(".input")];
  if (!embedding) return `the ${numbers} numbers that the network gives`;
  return input ? `the ${numbers} numbers that go into ${layer}` : `the ${numbers} numbers of ${layer}`;
}

const COUNTS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

export function inWords(count: number): string {
  return COUNTS[count] ?? String(count);
}

export function called(photo: PhotoEntry): string {
  return photo.truth ? `${photoName(photo)}, ${photo.truth},` : photoName(photo);
}

export function position([row, column]: readonly [number, number]): string {
  return `row ${row + 1}, column ${column + 1}`;
}
