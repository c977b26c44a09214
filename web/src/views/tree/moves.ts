// What the keys do in the tree: ← → between levels, ↑ ↓ among sisters, Enter opens and closes.
import type { Level, Shown } from "./levels";

interface Move {
  chosen: readonly string[];
  open: readonly string[];
}

/** Where a key leads from a node; null where it leads nowhere. */
export function moved(key: string, one: Shown, levels: readonly Level[], open: readonly string[]): Move | null {
  const depth = one.way.length - 1;
  const sisters = levels[depth]?.shown ?? [];
  const at = sisters.findIndex((other) => other.node.id === one.node.id);
  const isOpen = open[depth] === one.node.id;
  const to = (other: Shown | undefined): Move | null => (other ? { chosen: other.way, open } : null);
  switch (key) {
    case "ArrowUp":
      return to(sisters[at - 1]);
    case "ArrowDown":
      return to(sisters[at + 1]);
    case "Home":
      return to(sisters[0]);
    case "End":
      return to(sisters.at(-1));
    case "ArrowLeft":
      return depth ? { chosen: one.way.slice(0, -1), open } : null;
    case "ArrowRight":
      if (isOpen && levels[depth + 1]) return to(levels[depth + 1]!.shown[0]);
      return one.node.grows ? { chosen: one.way, open: one.way } : null;
    case "Enter":
    case " ":
      if (!one.node.grows) return null;
      return { chosen: one.way, open: isOpen ? one.way.slice(0, -1) : one.way };
    default:
      return null;
  }
}
