// The map at every stage, from the input to the last: a slider of thumbnails; moving it asks nothing of the network.
import { useEffect, useRef } from "preact/hooks";
import { crossFade } from "../../draw/fade";
import { drawOverlay } from "../../draw/overlay";
import { usePixels } from "../../draw/pixels";
import { chooseScale, type Sign } from "../../draw/scale";
import { colors, photo, tables } from "../../state/store";
import { fieldOf } from "../../wire/map";
import type { Decision, WireMap } from "../../wire/types";

interface Props {
  answer: Decision;
  chosen: number;
  sign: Sign;
  onChange: (layer: string) => void;
}

export function DepthScrubber({ answer, chosen, sign, onChange }: Props) {
  const { layers, maps } = answer;
  if (layers.length < 2) return null;
  const press = (event: KeyboardEvent) => {
    const next = { ArrowLeft: chosen - 1, ArrowRight: chosen + 1, Home: 0, End: layers.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    onChange(layers[Math.min(Math.max(next, 0), layers.length - 1)]!);
  };
  const drag = (event: PointerEvent) => {
    if (!event.buttons) return;
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const stop = Math.floor(((event.clientX - box.left) / box.width) * layers.length);
    const layer = layers[Math.min(Math.max(stop, 0), layers.length - 1)]!;
    if (layer !== layers[chosen]) onChange(layer);
  };
  return (
    <div
      class="scrubber"
      role="slider"
      tabIndex={0}
      aria-label="Depth"
      aria-valuemin={1}
      aria-valuemax={layers.length}
      aria-valuenow={chosen + 1}
      aria-valuetext={`${layers[chosen]}, ${maps[chosen]!.rows} by ${maps[chosen]!.columns} positions`}
      onKeyDown={press}
      onPointerDown={drag}
      onPointerMove={drag}
      style={{ "--stops": layers.length }}
    >
      {layers.map((layer, i) => (
        <div class={`stop${i === chosen ? " chosen" : ""}`}>
          <Thumbnail map={maps[i]!} sign={sign} />
          <span title={layer}>{layer}</span>
        </div>
      ))}
    </div>
  );
}

function Thumbnail({ map, sign }: { map: WireMap; sign: Sign }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawn = useRef<WireMap | null>(null);
  const pixels = usePixels(photo.value!.url, 176);
  useEffect(() => {
    if (!pixels || !tables.value) return;
    if (drawn.current && drawn.current !== map) crossFade(canvas.current!);
    drawn.current = map;
    canvas.current!.width = pixels.width;
    canvas.current!.height = pixels.height;
    const field = fieldOf(map);
    drawOverlay(canvas.current!.getContext("2d")!, pixels, field, chooseScale([field], { sign, colors: colors.value }), tables.value);
  }, [pixels, map, sign, colors.value, tables.value]);
  return <canvas ref={canvas} aria-hidden="true" />;
}
