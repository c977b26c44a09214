// What is hidden in the photo or switched off in the network, and what the network says of it.
import { transport } from "../../state/store";
import { useNewest, type Newest } from "../../state/newest";
import type { Edit, Edited, Patch, Switch } from "../../wire/altered";
import { brushing, drawing, edit, explainingLeft } from "./brush/state";
import { useBrushKeys } from "./brush/keys";
import { useSwitchKeys } from "./switch/keys";
import { switched, switching } from "./switch/state";

export interface Altered {
  brushing: boolean;
  switching: boolean;
  /** What the map shown is of; null is the photo and the network as they are. */
  change: { edit: Edit } | { switch: Switch } | null;
  edited: Newest<Edited, { edit: Edit }>;
  patch: Patch | null;
}

export function useAltered(on: { photo: string; model: string; target: string }): Altered {
  useBrushKeys();
  useSwitchKeys();
  const live = transport.value.live;
  const edited = useNewest<Edited, { edit: Edit }>("edited", live && edit.value ? { ...on, edit: edit.value } : null);
  const left = live && explainingLeft.value && !drawing.value && edit.value;
  const off = live && !brushing.value && switched.value;
  return {
    brushing: live && brushing.value,
    switching: live && !brushing.value && switching.value,
    change: left ? { edit: left } : off ? { switch: off } : null,
    edited,
    patch: edit.value ? (edited.answer?.patch ?? null) : null,
  };
}
