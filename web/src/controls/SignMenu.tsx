// Which evidence is shown.
import { address, go } from "../state/address";

const SIGNS = [
  ["", "For and against"],
  ["positive", "For"],
  ["negative", "Against"],
  ["signed", "Both, always"],
] as const;

export function SignMenu() {
  return (
    <label class="select">
      <span class="spoken">Sign</span>
      <select value={address.value.sign ?? ""} onChange={(event) => go({ sign: event.currentTarget.value || undefined }, "same")}>
        {SIGNS.map(([value, title]) => (
          <option value={value}>{title}</option>
        ))}
      </select>
    </label>
  );
}
