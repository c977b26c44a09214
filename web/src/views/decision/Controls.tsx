// Map or photo, the brush, which method, which sign.
import { Segmented } from "../../controls/Segmented";
import { SignMenu } from "../../controls/SignMenu";
import { go } from "../../state/address";
import { transport } from "../../state/store";
import { BrushBar } from "./brush/BrushBar";
import { brushing, showsMap } from "./brush/state";
import { finerOf, finerWords, OWN } from "./finer";
import { LeastArea } from "./LeastArea";
import { MethodMenu } from "./MethodMenu";

export function Controls() {
  const finer = finerOf();
  return (
    <div class="controls">
      <Segmented
        label="What the picture shows"
        options={[
          { value: "map", title: "Map" },
          { value: "photo", title: "Photo" },
        ]}
        value={showsMap() ? "map" : "photo"}
        onChange={(show) => go({ show: show === "map" && !brushing.value ? undefined : show, ...(show === "photo" && { left: undefined }) }, "same")}
      />
      <BrushBar />
      {(showsMap() || !brushing.value) && (
        <>
          <MethodMenu />
          <SignMenu area />
          <LeastArea />
          {finer && (
            <button type="button" title="Show the layer's own resolution" disabled={!transport.value.live} onClick={() => go(OWN)}>
              {finerWords(finer)} ×
            </button>
          )}
        </>
      )}
    </div>
  );
}
