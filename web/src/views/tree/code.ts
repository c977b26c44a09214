// The call that makes the tree that is shown.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { model, photo, target } from "../../state/store";
import type { Tree } from "../../wire/types";
import { pythonTarget } from "../../words/code";

export function useCode(tree: Tree | null, query: Record<string, string | number>): void {
  useEffect(() => {
    if (!tree || !photo.value || !model.value) return;
    const parts = query["nodes"] === "parts";
    const asked = pythonTarget(target.value, tree.asked);
    const image = photo.value.source;
    const options = parts
      ? `nodes="parts", reference="${query["reference"]}", branching=${query["branching"]}`
      : `rule="${query["rule"]}", gate=${query["rule"] === "pool_up" ? "True" : "False"}, opponents=${query["opponents"]}, branching=${query["branching"]}`;
    const flags = parts
      ? `--nodes parts --reference ${query["reference"]}`
      : `--rule ${query["rule"]}${query["rule"] === "pool_up" ? "" : " --no-gate"} --opponents ${query["opponents"]}`;
    const named = target.value ? ` --target ${JSON.stringify(target.value)}` : "";
    code.value = {
      python: `tree = foveal.decompose(model, ${image}${asked ? `, ${asked}` : ""}, ${options})`,
      command: `foveal decompose ${image} --model ${model.value.source}${named} ${flags} --branching ${query["branching"]}`,
      seconds: tree.seconds,
    };
  }, [tree, JSON.stringify(query)]);
}
