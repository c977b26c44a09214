// Map or photo, which method, which sign.
import { Segmented } from "../../controls/Segmented";
import { SignMenu } from "../../controls/SignMenu";
import { address, go } from "../../state/address";
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
        value={address.value.show === "photo" ? "photo" : "map"}
        onChange={(show) => go({ show: show === "photo" ? "photo" : undefined }, "same")}
      />
      <MethodMenu />
      <SignMenu />
    </div>
  );
}
