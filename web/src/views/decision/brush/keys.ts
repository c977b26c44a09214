// Keys of the brush: B takes it up; [ and ] change its size, X erases, Ctrl Z takes the last stroke back, Esc ends.
import { useEffect } from "preact/hooks";
import { transport } from "../../../state/store";
import { brushing, erasing, finish, resize, start, undo } from "./state";

export function useBrushKeys(): void {
  useEffect(() => {
    if (!transport.value.live) return;
    const press = (event: KeyboardEvent) => {
      const at = event.target as HTMLElement;
      if (at.closest("select, textarea, dialog, input:not([type=range], [type=radio], [type=checkbox])")) return;
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
      const key = event.key.toLowerCase();
      if (!brushing.value) {
        if (plain && key === "b") start();
        return;
      }
      if (key === "z" && (event.ctrlKey || event.metaKey)) undo();
      else if (key === "[") resize(1 / 1.2); // with AltGr on some keyboards
      else if (key === "]") resize(1.2);
      else if (!plain) return;
      else if (key === "x") erasing.value = !erasing.value;
      else if (key === "escape" || key === "b") finish();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
