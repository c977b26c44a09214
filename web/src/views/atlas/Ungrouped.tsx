// A run without groups: they are found while the page waits, or why they cannot be.
import { useEffect, useState } from "preact/hooks";
import { Waiting } from "../../controls/Waiting";
import { load } from "../../main";
import { useAnswer } from "../../state/answers";
import type { GroupedRun } from "../../wire/types";
import type { AtlasData } from "./data";

export function Ungrouped({ data }: { data: AtlasData }) {
  const { run, model, by } = data.answer;
  const [wanted, want] = useState(false);
  const asked = useAnswer<GroupedRun>("atlas_group", wanted ? { run, model } : null);
  useEffect(() => {
    if (asked.answer) void load(); // the run has another key now
  }, [asked.answer]);
  if (by === "maps")
    return (
      <p class="hint">
        This run cannot be grouped by reason: it kept no channel contributions. foveal run --contributions keeps them (of the verbs explain and measure), in a new folder.
      </p>
    );
  const stop = () => {
    asked.stop();
    want(false);
  };
  return (
    <section class="groups">
      {wanted ? (
        <Waiting asked={{ ...asked, stop }} what={asked.progress?.what} />
      ) : (
        <button type="button" onClick={() => want(true)}>
          Group by reason
        </button>
      )}
      <p class="hint">
        {wanted ? "Odd groups are tested with the network. Leaving this view stops it." : "Finds groups of a class that were decided for reasons of their own (foveal.reasons), and tests odd ones: what they share is hidden, and their images get the colors and texture of others."}
      </p>
    </section>
  );
}
