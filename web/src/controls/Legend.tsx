// The colors and what they are worth; its ends are dragged, with Shift both:
// the value that gets the last color, and where color begins.
import { useRef } from "preact/hooks";
import { largest, type Scale } from "../draw/scale";
import { tables } from "../state/store";
import type { Field } from "../wire/map";
import { raw } from "../words/numbers";

interface Props {
  scale: Scale;
  field: Field;
  /** The last color's value, and where color begins; undefined resets. */
  onChange: (limit: number | undefined, from: number | undefined) => void;
}

export function Legend({ scale, field, onChange }: Props) {
  const bar = useRef<HTMLDivElement>(null);
  const most = largest([field], scale.sign);
  const sides = scale.sign === "signed" ? 2 : 1;
  const drag = (which: "limit" | "from") => (event: PointerEvent) => {
    const handle = event.currentTarget as HTMLElement;
    handle.setPointerCapture(event.pointerId);
    const move = (now: PointerEvent) => {
      const box = bar.current!.getBoundingClientRect();
      const wide = box.width > box.height;
      const unit = wide ? (now.clientX - box.left) / box.width : 1 - (now.clientY - box.top) / box.height;
      const size = Math.min(Math.max(sides === 2 ? 2 * unit - 1 : unit, 0), 1);
      if (which === "from" && !now.shiftKey) return onChange(scale.limit, size * scale.limit);
      const limit = Math.max(size, 0.02) * most;
      onChange(limit, now.shiftKey ? (scale.from / scale.limit) * limit : scale.from);
    };
    handle.onpointermove = move;
    handle.onpointerup = () => (handle.onpointermove = null);
  };
  const press = (which: "limit" | "from") => (event: KeyboardEvent) => {
    const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!by) return;
    event.preventDefault();
    const step = (by / 50) * most;
    const limit = Math.min(Math.max(scale.limit + step, 0.02 * most), most);
    if (event.shiftKey) onChange(limit, (scale.from / scale.limit) * limit);
    else if (which === "limit") onChange(limit, scale.from);
    else onChange(scale.limit, Math.min(Math.max(scale.from + step, 0), scale.limit));
  };
  const handle = (which: "limit" | "from", label: string, value: number, at: number) => (
    <div
      class={`handle ${which}`}
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={most}
      aria-valuenow={value}
      aria-valuetext={raw(value)}
      style={{ "--at": at }}
      onPointerDown={drag(which)}
      onKeyDown={press(which)}
      onDblClick={() => onChange(undefined, undefined)}
    />
  );
  const end = (scale.limit / most + (sides - 1)) / sides;
  const start = (scale.from / scale.limit + (sides - 1)) / sides;
  const top = scale.colors === "sequential" ? "most" : scale.sign === "negative" ? "against" : "for";
  return (
    <div class={`legend ${scale.sign}`} ref={bar}>
      <div class="ramp" style={{ backgroundImage: tables.value?.gradient(scale, "to top"), "--across": tables.value?.gradient(scale, "to right") }} />
      {handle("limit", "Value of the strongest color", scale.limit, end)}
      {handle("from", "Show evidence from", scale.from, start)}
      <span class="end top">
        {scale.limit < 0.999 * most ? "≥ " : ""}
        {raw(scale.sign === "negative" ? -scale.limit : scale.limit, true)}
      </span>
      <span class={`side ${top}`}>{top}</span>
      {sides === 2 && <span class="side against low">against</span>}
      <span class="end zero">{scale.from ? raw(scale.from) : "0"}</span>
      {sides === 2 && <span class="end bottom">{raw(-scale.limit)}</span>}
    </div>
  );
}
