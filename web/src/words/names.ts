// Class names as a person says them: of "ostrich, Struthio camelus" the first, where no other class is called so.
import { library } from "../state/store";
import type { PhotoEntry } from "../wire/types";

let known: { labels: readonly string[]; first: Map<string, number> } | null = null;

function firstOf(name: string): string {
  return name.split(", ")[0]!;
}

export function shortName(name: string): string {
  const short = firstOf(name);
  if (short === name) return name;
  for (const { labels } of library.value?.models ?? []) {
    if (!labels.includes(name)) continue;
    if (known?.labels !== labels) {
      const first = new Map<string, number>();
      for (const label of labels) first.set(firstOf(label), (first.get(firstOf(label)) ?? 0) + 1);
      known = { labels, first };
    }
    return known.first.get(short) === 1 ? short : name;
  }
  return name;
}

/** A photo's name, with a number where others are called the same. */
export function photoName(photo: PhotoEntry): string {
  const same = (library.value?.photos ?? []).filter((one) => one.name === photo.name);
  return same.length > 1 ? `${photo.name} (${same.indexOf(photo) + 1})` : photo.name;
}
