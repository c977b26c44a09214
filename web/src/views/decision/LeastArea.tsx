// How much of the evidence the shown positions hold together.
import { address, go } from "../../state/address";

export const least = (): number | null => {
  const percent = Number(address.value.area);
  return percent >= 1 && percent <= 99 ? percent / 100 : null;
};

export function LeastArea() {
  const share = least();
  if (share === null) return null;
  return (
    <label class="least">
      <input
        type="number"
        min="1"
        max="99"
        value={Math.round(100 * share)}
        aria-label="Percent of the evidence for that the shown positions hold"
        onChange={(event) => go({ area: String(Math.min(Math.max(Math.round(Number(event.currentTarget.value)) || 50, 1), 99)) }, "same")}
      />{" "}
      % of it
    </label>
  );
}
