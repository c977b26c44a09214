// What the feature image is held to beside the channel: other weights make another image.

export interface WeightsOfImage {
  smoothness: number;
  low_saturation: number;
}

export const USUAL: WeightsOfImage = { smoothness: 2, low_saturation: 0 };

interface Props {
  open: boolean;
  onOpen: (open: boolean) => void;
  weights: WeightsOfImage;
  onChange: (weights: WeightsOfImage) => void;
}

export function Weights({ open, onOpen, weights, onChange }: Props) {
  return (
    <details class="weights" open={open} onToggle={(event) => onOpen(event.currentTarget.open)}>
      <summary>Weights …</summary>
      <label>
        smooth <input type="range" min="0" max="10" step="0.5" value={weights.smoothness} onChange={(event) => onChange({ ...weights, smoothness: Number(event.currentTarget.value) })} />{" "}
        <span class="number">{weights.smoothness}</span>
      </label>
      <label>
        gray <input type="range" min="0" max="20" step="1" value={weights.low_saturation} onChange={(event) => onChange({ ...weights, low_saturation: Number(event.currentTarget.value) })} />{" "}
        <span class="number">{weights.low_saturation}</span>
      </label>
    </details>
  );
}
