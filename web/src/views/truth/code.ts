// The call that gives the true effects, or the score of the changed scene.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { target } from "../../state/store";
import type { ChangedScene, SceneChange, Truth } from "../../wire/types";
import { pythonTarget } from "../../words/code";

export function useTruthCode(truth: Truth | null, scene: ChangedScene | null, changes: readonly SceneChange[]): void {
  useEffect(() => {
    if (!truth || !scene) return;
    const asked = pythonTarget(target.value, truth.asked) || "foveal.Class()";
    const why = (pictures: string) => `foveal.explain(model, ${pictures}, ${asked}).score`;
    code.value = {
      python: changes.length
        ? why(`foveal.synthetic.render(${scene.code})[0]`)
        : `foveal.synthetic.effects([${scene.code}], lambda pictures: ${why("list(pictures)")}.numpy()).row(0)`,
      command: "",
      seconds: changes.length ? undefined : truth.seconds,
    };
  }, [truth, scene, changes.length]);
}
