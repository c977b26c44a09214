// Map or photo, the brush, which method, which sign.
import { Segmented } from "../../controls/Segmented";
import { SignMenu } from "../../controls/SignMenu";
import { go } from "../../state/address";
import { BrushBar } from "./brush/BrushBar";
import { brushing, showsMap } from "./brush/state";
import { LeastArea } from "./LeastArea";
import { MethodMenu } from "./MethodMenu";

export function Controls() {
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
        </>
      )}
    </div>
  );
}
