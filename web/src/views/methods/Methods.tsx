// Do other methods say the same? Methods × layers × models, beside maps that know nothing.
import { useState } from "preact/hooks";
import { Trouble } from "../../controls/Trouble";
import { Waiting } from "../../controls/Waiting";
import { address } from "../../state/address";
import { photo } from "../../state/store";
import { Agreement } from "./Agreement";
import { BlindMaps } from "./BlindMaps";
import { Choices } from "./Choices";
import { Chosen } from "./Chosen";
import { columns, shownModels } from "./choice";
import { MapGrid, selectedOf } from "./MapGrid";
import { scalesOf } from "./scales";
import { useCode } from "./code";
import { useGrid } from "./useGrid";

export function Methods() {
  const models = shownModels();
  return <Grid key={models.map((one) => one.name).join()} models={models} />;
}

function Grid({ models }: { models: ReturnType<typeof shownModels> }) {
  const chosen = columns();
  const blocks = useGrid(models, chosen);
  const question = `${photo.value!.hash} ${address.value.target ?? ""}`;
  const [everything, setEverything] = useState("");
  const selected = selectedOf(blocks);
  const scaleOf = scalesOf(blocks);
  const block = blocks.find((one) => one.model === selected?.model) ?? blocks[0]!;
  useCode(block, chosen);
  return (
    <div class="methods">
      <header>
        <h1>Do other methods say the same?</h1>
        <Agreement blocks={blocks} chosen={selected} />
        <Choices columns={chosen} blocks={blocks} onComputeAll={() => setEverything(question)} />
      </header>
      <div class="gridside">
        {blocks.map((one) => (
          <div key={one.model.name}>
            {one.comparison.problem ? (
              <>
                <b>{one.model.name}</b>
                <Trouble problem={one.comparison.problem} />
              </>
            ) : (
              <Waiting asked={one.comparison} what={`Methods of ${one.model.name}`} />
            )}
            <Waiting asked={one.deciding} what="What truly decides" />
            <Waiting asked={one.measured} what="What hiding the marked places costs" />
          </div>
        ))}
        <MapGrid blocks={blocks} columns={chosen} scaleOf={scaleOf} selected={selected} wanted={everything === question} />
      </div>
      <div class="beside">
        <BlindMaps block={block} />
        {selected && <Chosen cell={selected} block={block} scale={scaleOf(selected)} />}
      </div>
    </div>
  );
}
