// The branches that are open, asked for one by one; what the network loses comes when they are there.
import { useEffect, useRef, useState } from "preact/hooks";
import { useAnswer, type Asked } from "../../state/answers";
import { transport } from "../../state/store";
import type { Branch, Effects, Tree } from "../../wire/types";
import { all, levelOf, type Level, type Shown } from "./levels";
import { least, opened, treeQuery } from "./state";

const DEEPEST = 8;

export interface Grown {
  levels: Level[];
  /** What is being waited for, or went wrong, below the last level. */
  asked: Asked<unknown>;
  /** What is measured beside the claims. */
  measured: Asked<Effects>;
}

export function useLevels(tree: Asked<Tree>): Grown {
  const [query, way] = [treeQuery(), tree.answer ? opened().slice(0, tree.answer.stages.length - 1) : []];
  const branches = Array.from({ length: DEEPEST }, (_, i) =>
    useAnswer<Branch>("tree/branch", way[i] && !tree.waiting ? { ...query, of: way[i] } : null),
  );
  const busy = tree.waiting || branches.some((one) => one.waiting);
  const [effects, measured] = useEffects(query, ["", ...way], busy);
  const before = useRef<Level[]>([]);
  const levels: Level[] = [];
  let parent: Shown | null = null;
  for (let depth = 0; tree.answer && depth <= way.length; depth++) {
    const branch = depth === 0 ? tree.answer.branch : branches[depth - 1]!.answer;
    if (!branch || branch.of !== (way[depth - 1] ?? "")) {
      const earlier = before.current[depth];
      if (earlier && branches[depth - 1]?.waiting) levels.push({ ...earlier, old: true });
      break;
    }
    if (!branch.nodes.length) break;
    levels.push(levelOf(tree.answer, branch, parent, effects.get(branch.of) ?? null, least() / 100));
    parent = all(levels.at(-1)!).find((one) => one.node.id === way[depth]) ?? null;
    if (depth < way.length && !parent) break;
  }
  if (!levels.some((level) => level.old)) before.current = levels;
  return { levels, asked: [tree, ...branches].find((one) => one.waiting || one.problem) ?? tree, measured };
}

/** Measured one branch after the other, and only while nothing else is asked for; what is known stays. */
function useEffects(query: object, ways: readonly string[], busy: boolean): [ReadonlyMap<string, Effects>, Asked<Effects>] {
  const key = JSON.stringify(query);
  const [known, setKnown] = useState<{ key: string; by: ReadonlyMap<string, Effects> }>({ key, by: new Map() });
  const by = known.key === key ? known.by : NONE;
  const next = ways.find((of) => !by.has(of) && transport.value.has("tree/effects", { ...query, of }));
  const asked = useAnswer<Effects>("tree/effects", busy || next === undefined ? null : { ...query, of: next });
  const found = asked.waiting ? null : asked.answer;
  useEffect(() => {
    if (found && !by.has(found.of)) setKnown({ key, by: new Map([...by, [found.of, found]]) });
  }, [found, key]);
  return [by, asked];
}

const NONE: ReadonlyMap<string, Effects> = new Map();
