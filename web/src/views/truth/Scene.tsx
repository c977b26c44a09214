// The scene, whose parts are moved by dragging or by arrows, and taken away by Delete.
import { useRef, useState } from "preact/hooks";
import { hover, hovered } from "../../state/store";
import type { ChangedScene, PartTruth } from "../../wire/types";
import { partAt } from "./labels";

interface Props {
  /** What is drawn now, and what is known of where its parts lie. */
  scene: ChangedScene;
  /** The scene with labels: while a part is dragged, the one before. */
  settled: ChangedScene | null;
  parts: readonly PartTruth[];
  alt: string;
  gone: readonly string[];
  selected: string | null;
  onSelect: (part: string | null) => void;
  /** In 1/160 of the picture; `done` when it is let go. */
  onMove: (part: string, dx: number, dy: number, done: boolean) => void;
  onRemove: (part: string) => void;
}

const STEPS: Record<string, [number, number]> = { ArrowUp: [0, -2], ArrowDown: [0, 2], ArrowLeft: [-2, 0], ArrowRight: [2, 0] };

export function Scene({ scene, settled, parts, alt, gone, selected, onSelect, onMove, onRemove }: Props) {
  const home = useRef<HTMLDivElement>(null);
  const [over, setOver] = useState<string | null>(null);
  const drag = useRef<{ part: string; x: number; y: number; dx: number; dy: number } | null>(null);
  const point = (event: PointerEvent) => {
    const box = home.current!.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height] as const;
  };
  const down = (event: PointerEvent) => {
    const [x, y] = point(event);
    const part = settled && partAt(settled, x, y);
    onSelect(part);
    if (!part || event.button) return;
    event.preventDefault();
    home.current!.setPointerCapture(event.pointerId);
    home.current!.querySelector<HTMLElement>(`[data-part="${part}"]`)?.focus();
    drag.current = { part, x, y, dx: 0, dy: 0 };
  };
  const move = (event: PointerEvent) => {
    const [x, y] = point(event);
    const now = drag.current;
    if (!now) return setOver(settled && partAt(settled, x, y));
    now.dx = Math.round((x - now.x) * 160);
    now.dy = Math.round((y - now.y) * 160);
    onMove(now.part, now.dx, now.dy, false);
  };
  const up = () => {
    const now = drag.current;
    drag.current = null;
    if (now && (now.dx || now.dy)) onMove(now.part, now.dx, now.dy, true);
  };
  const press = (part: PartTruth) => (event: KeyboardEvent) => {
    const step = STEPS[event.key];
    if (step) onMove(part.part, step[0] * (event.shiftKey ? 4 : 1), step[1] * (event.shiftKey ? 4 : 1), true);
    else if ((event.key === "Delete" || event.key === "Backspace") && part.removable) onRemove(part.part);
    else if (event.key === "Escape") onSelect(null);
    else return;
    event.preventDefault();
  };
  const marked = selected ?? over ?? (hovered.value?.kind === "part" ? hovered.value.id : null);
  const box = marked ? scene.boxes[marked] : undefined;
  return (
    <div
      class={`scene${over || selected ? " over" : ""}`}
      ref={home}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={up}
      onPointerCancel={up}
      onPointerLeave={() => setOver(null)}
    >
      <img src={scene.picture} alt={alt} draggable={false} />
      {parts.map((part) => {
        const at = part.part === "background" || part.part === "occluder" || part.part === "mark" ? undefined : scene.boxes[part.part];
        return (
          at && (
            <button
              type="button"
              class="part"
              data-part={part.part}
              aria-label={`${part.name}: arrows move it${part.removable ? ", Delete takes it away" : ""}`}
              aria-pressed={selected === part.part}
              style={placed(at)}
              onKeyDown={press(part)}
              {...hover("part", part.part)}
              onFocus={() => onSelect(part.part)}
              onClick={() => onSelect(part.part)}
            />
          )
        );
      })}
      {box && <Tag box={box} text={marked!} />}
      {parts.map((part) => gone.includes(part.part) && part.box && <Tag box={part.box} text={`${part.name}, taken away`} />)}
    </div>
  );
}

function Tag({ box, text }: { box: readonly number[]; text: string }) {
  return (
    <span class={`tag${box[1]! < 0.07 ? " below" : ""}`} style={placed(box)} aria-hidden="true">
      <b>{text}</b>
    </span>
  );
}

function placed([x0, y0, x1, y1]: readonly number[]) {
  const share = (value: number) => `${100 * value}%`;
  return { left: share(x0!), top: share(y0!), width: share(x1! - x0!), height: share(y1! - y0!) };
}
