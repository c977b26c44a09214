// How far an answer that grows has come, and a way to halt it.
import type { Growing } from "../../state/bouts";

interface Props {
  of: Growing<{ photos: number; of: number }>;
  what: string;
  paused?: boolean;
  onPause?: () => void;
}

export function Progressing({ of, what, paused, onPause }: Props) {
  if (of.problem) return <p class="problem" role="alert">{of.problem}</p>;
  const { photos = 0, of: total = 0 } = of.answer ?? {};
  if (!of.running && !(paused && photos < total)) return null;
  return (
    <div class="waiting" role="status">
      <progress value={total ? photos : undefined} max={total || undefined} aria-label={what} />
      <span>{total ? `${photos} of ${total} ${what}` : "asking the network"}</span>
      {onPause && (
        <button type="button" onClick={onPause}>
          {paused ? "Go on" : "Pause"}
        </button>
      )}
    </div>
  );
}
