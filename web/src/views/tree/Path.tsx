// On a narrow page one level is shown at a time; this is the way to it.
import type { Tree } from "../../wire/types";
import { all, type Level } from "./levels";
import { opened, select } from "./state";

export function Path({ tree, levels }: { tree: Tree; levels: readonly Level[] }) {
  const way = opened();
  return (
    <nav class="path" aria-label="The way to this level">
      <button type="button" class="plain" disabled={!way.length} onClick={() => select([], [])}>
        {tree.asked[0] ?? tree.target}
      </button>
      {way.map((id, depth) => (
        <>
          <span aria-hidden="true">›</span>
          <button type="button" class="plain" disabled={depth === way.length - 1} onClick={() => select(way.slice(0, depth + 1), way.slice(0, depth + 1))}>
            {(levels[depth] && all(levels[depth]).find((one) => one.node.id === id)?.name) ?? id}
          </button>
        </>
      ))}
    </nav>
  );
}
