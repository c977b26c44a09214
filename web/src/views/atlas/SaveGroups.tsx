// Groups last as long as the studio; a folder beside that of the run keeps them, once that is asked for.
import { useState } from "preact/hooks";
import { load } from "../../main";
import { transport } from "../../state/store";
import { sentenceOf } from "../../state/transport";
import type { GroupedRun } from "../../wire/types";
import type { AtlasData } from "./data";

export function SaveGroups({ data }: { data: AtlasData }) {
  const { run, saved } = data.answer;
  const [problem, setProblem] = useState("");
  const save = () => {
    setProblem("");
    transport.value
      .ask<GroupedRun>("atlas_save", { run }, new AbortController().signal)
      .then(load)
      .catch((error: unknown) => setProblem(sentenceOf(error)));
  };
  if (saved) return <p class="hint">Saved in {saved}: foveal studio --run opens it.</p>;
  return (
    <p class="hint">
      <button type="button" onClick={save}>
        Save groups
      </button>{" "}
      {problem ? <span role="alert">{problem}</span> : "in a folder beside the run; they are gone with this studio otherwise."}
    </p>
  );
}
