// Which evidence is shown.
import { address, go } from "../state/address";

const SIGNS = [
  ["", "For and against"],
  ["positive", "For"],
  ["negative", "Against"],
  ["signed", "Both, always"],
] as const;

const AREA = "area";

/** `area`: the least area that holds a share of the evidence is a choice, too. */
export function SignMenu({ area = false }: { area?: boolean }) {
  const choose = (value: string) =>
    go(value === AREA ? { sign: undefined, area: "50" } : { sign: value || undefined, area: undefined }, "same");
  return (
    <label class="select">
      <span class="spoken">Sign</span>
      <select value={area && address.value.area ? AREA : (address.value.sign ?? "")} onChange={(event) => choose(event.currentTarget.value)}>
        {SIGNS.map(([value, title]) => (
          <option value={value}>{title}</option>
        ))}
        {area && <option value={AREA}>Least area that holds …</option>}
      </select>
    </label>
  );
}
