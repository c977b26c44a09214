// A view that has a layer of its own shows another one, as a run asked for: its name, and the way back.
import { address, go } from "../state/address";

export function OtherLayer() {
  const { of } = address.value;
  if (!of) return null;
  return (
    <button type="button" title="Back to the usual layer" onClick={() => go({ of: undefined })}>
      at {of} ×
    </button>
  );
}
