// How good a map is: an ink bar, and a gray mark for the best of the maps that know nothing.
import { percent } from "../../words/numbers";

export function Worth({ value, mark }: { value: number | null; mark: number | null }) {
  if (value === null) return null;
  const at = (share: number) => `${100 * Math.min(Math.max(share, 0), 1)}%`;
  return (
    <div class="worth">
      <span class="bar" aria-hidden="true">
        <i style={{ width: at(value) }} />
        {mark !== null && <b style={{ left: at(mark) }} />}
      </span>
      <span class="number">{percent(value)}</span>
    </div>
  );
}
