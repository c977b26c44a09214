// Esc ends switching.
import { useEffect } from "preact/hooks";
import { finishSwitch, switching } from "./state";

export function useSwitchKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || !switching.value || (event.target as HTMLElement).closest("dialog")) return;
      event.preventDefault();
      finishSwitch();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}
