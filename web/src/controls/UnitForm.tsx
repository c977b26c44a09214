// One unit of the network: a channel of a layer, averaged or at one position.
import { useState } from "preact/hooks";
import { useAnswer } from "../state/answers";
import { model, photo, target } from "../state/store";
import type { Stages } from "../wire/types";
import { unitOf, unitText } from "../words/target";
import { Waiting } from "./Waiting";

export function UnitForm({ onChoose }: { onChoose: (target: string) => void }) {
  const asked = useAnswer<Stages>("stages", { photo: photo.value!.hash, model: model.value!.name });
  const stages = asked.answer?.stages ?? [];
  const now = unitOf(target.value);
  const [layer, setLayer] = useState(now.layer);
  const [channel, setChannel] = useState(now.channel);
  const [row, setRow] = useState(now.row);
  const [column, setColumn] = useState(now.column);
  const stage = stages.find((one) => one.name === layer) ?? stages.at(-1);
  if (!stage) return <Waiting asked={asked} what="Layers" />;
  const number = (label: string, value: string, set: (value: string) => void, least: number, most: number, needed: boolean) => (
    <label>
      {label}
      <input
        type="number"
        min={least}
        max={most}
        step="1"
        required={needed}
        placeholder={needed ? "" : "any"}
        value={value}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </label>
  );
  const submit = (event: Event) => {
    event.preventDefault();
    onChoose(unitText(stage.name, Number(channel), row && column ? [Number(row), Number(column)] : null));
  };
  return (
    <form class="unit" onSubmit={submit}>
      <label>
        Layer
        <select value={stage.name} onChange={(event) => setLayer(event.currentTarget.value)}>
          {stages.map((one) => (
            <option value={one.name}>
              {one.name}, {one.channels} channels
            </option>
          ))}
        </select>
      </label>
      {number("Channel", channel, setChannel, 0, stage.channels - 1, true)}
      {number("Row", row, setRow, 1, stage.rows, Boolean(column))}
      {number("Column", column, setColumn, 1, stage.columns, Boolean(row))}
      <p class="quiet">Without row and column it is the mean of the channel over the whole map.</p>
      <button type="submit">Explain this unit</button>
    </form>
  );
}
