// Under the scene: which picture, put back, another look of a part, other surroundings.
import { Segmented } from "../../controls/Segmented";
import { go } from "../../state/address";
import type { PartTruth, SceneChange } from "../../wire/types";
import { BACKGROUNDS, setChanges, withChange } from "./changes";

export type Shown = "drawn" | "changed" | "map";

interface Props {
  shown: Shown;
  changes: readonly SceneChange[];
  parts: readonly PartTruth[];
  /** The part whose look is chosen. */
  part: PartTruth | undefined;
  background: string;
  onPutBack: () => void;
}

export function SceneControls({ shown, changes, parts, part, background, onPutBack }: Props) {
  const change = (one: SceneChange) => setChanges(withChange(changes, one));
  const now = changes.find((one) => (one.kind === "remove" || one.kind === "look") && one.part === part?.part);
  const look = now?.kind === "remove" ? "none" : now?.kind === "look" ? now.species : "";
  const choose = (value: string) => {
    const name = part!.part as Extract<SceneChange, { kind: "look" }>["part"];
    if (value === "") setChanges(changes.filter((one) => one !== now));
    else change(value === "none" ? { kind: "remove", part: name } : { kind: "look", part: name, species: value });
  };
  const every: { value: Shown; title: string }[] = [
    { value: "drawn", title: "As drawn" },
    { value: "changed", title: "Changed" },
    { value: "map", title: "Map" },
  ];
  return (
    <div class="controls">
      <Segmented
        label="What the picture shows"
        options={every.filter((one) => changes.length || one.value !== "changed")}
        value={shown}
        onChange={(next) => go({ show: next === (changes.length ? "changed" : "drawn") ? undefined : next }, "same")}
      />
      <button type="button" disabled={!changes.length} onClick={onPutBack}>
        Put back <kbd>Ctrl Z</kbd>
      </button>
      {part && part.part !== "background" && part.part !== "occluder" && (
        <label class="select">
          <span class="quiet">{part.name}</span>{" "}
          <select value={look} onChange={(event) => choose(event.currentTarget.value)}>
            <option value="">as drawn</option>
            {part.removable && <option value="none">none</option>}
            {part.looks.map((species) => (
              <option value={species}>of a {species}</option>
            ))}
          </select>
        </label>
      )}
      {parts.length > 0 && (
        <label class="select">
          <span class="quiet">on</span>{" "}
          <select value={background} onChange={(event) => change({ kind: "background", background: event.currentTarget.value as (typeof BACKGROUNDS)[number] })}>
            {BACKGROUNDS.map((kind) => (
              <option value={kind}>{kind}</option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}
