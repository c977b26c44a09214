// The map that is judged, on the scene as drawn.
import { useMemo } from "preact/hooks";
import { PhotoMap } from "../../controls/PhotoMap";
import { chooseScale } from "../../draw/scale";
import { colors, photo } from "../../state/store";
import { fieldOf } from "../../wire/map";
import type { Decision } from "../../wire/types";

export function MapPicture({ decided, layer }: { decided: Decision | null; layer: string | undefined }) {
  const map = decided?.maps[decided.layers.indexOf(layer ?? "")] ?? decided?.maps.at(-1);
  const field = map ? fieldOf(map) : null;
  const scale = useMemo(() => (field ? chooseScale([field], { colors: colors.value }) : undefined), [field, colors.value]);
  return <PhotoMap photo={photo.value!} alt={`${photo.value!.name} with the evidence of ${decided?.title ?? "the network"}`} describedBy="answer" field={field} scale={scale} />;
}
