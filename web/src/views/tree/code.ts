// The call that makes the tree that is shown.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { model, photo, target } from "../../state/store";
import type { Tree } from "../../wire/types";
import { pythonTarget } from "../../words/code";

/** Options of saved trees that the page cannot choose; said where they are not the usual ones. */
const MORE = { coverage: 1, rank_by: "sum", merge: false };

export function useCode(tree: Tree | null, query: Record<string, unknown>): void {
  useEffect(() => {
    if (!tree || !photo.value || !model.value) return;
    const parts = query["nodes"] === "parts";
    const asked = pythonTarget(target.value, tree.asked);
    const image = photo.value.source;
    const gate = query["gate"] ?? query["rule"] === "pool_up";
    const alone = query["reference"] === "none";
    const more = Object.entries(MORE).filter(([name, usual]) => name in query && query[name] !== usual);
    const options = parts
      ? `nodes="parts", ${alone ? `rule="exact"` : `reference="${query["reference"]}"`}, branching=${query["branching"]}`
      : `rule="${query["rule"]}", gate=${gate ? "True" : "False"}, opponents=${query["opponents"]}, branching=${query["branching"]}`;
    const flags = parts
      ? `--nodes parts ${alone ? "--rule exact" : `--reference ${query["reference"]}`}`
      : `--rule ${query["rule"]}${gate ? "" : " --no-gate"} --opponents ${query["opponents"]}`;
    const named = target.value ? ` --target ${JSON.stringify(target.value)}` : "";
    code.value = {
      python: `tree = foveal.decompose(model, ${image}${asked ? `, ${asked}` : ""}, ${[options, ...more.map(([name]) => `${name}=${inPython(query[name])}`)].join(", ")})`,
      command: more.length ? "" : `foveal decompose ${image} --model ${model.value.source}${named} ${flags} --branching ${query["branching"]}`,
      seconds: tree.seconds,
    };
  }, [tree, JSON.stringify(query)]);
}

function inPython(value: unknown): string {
  return typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value);
}
