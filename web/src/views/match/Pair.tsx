// Both photos, large, and what connects them.
import { useRef, useState } from "preact/hooks";
import { PhotoMap } from "../../controls/PhotoMap";
import { chooseScale, type Scale } from "../../draw/scale";
import { fieldOf, tileOf, type Field } from "../../wire/map";
import type { Counterpart, Matched, PhotoEntry } from "../../wire/types";
import { photoName } from "../../words/names";
import { raw } from "../../words/numbers";
import { Lines, type Line } from "./Lines";
import { choose, type Chosen } from "./state";
import { likeness, position } from "./words";

export interface Found {
  at: Chosen;
  answer: Counterpart;
}

interface Props {
  one: PhotoEntry;
  other: PhotoEntry;
  answer: Matched;
  fields: readonly Field[];
  scales: readonly Scale[];
  line: number;
  counterpart: Found | null;
  rank: number;
  of: number;
}

const SIDES = ["query", "reference"] as const;

export function Pair({ one, other, answer, fields, scales, line, counterpart, rank, of }: Props) {
  const home = useRef<HTMLDivElement>(null);
  const [hovering, setHovering] = useState<{ side: number; position: [number, number] } | null>(null);
  const found = counterpart && { there: counterpart.at.side === "query" ? 1 : 0, field: fieldOf(counterpart.answer.map) };
  const shown = fields.map((field, side) => (found && found.there === side ? found.field : field));
  const colored = scales.map((scale, side) => (found ? (found.there === side ? chooseScale([found.field], { colors: "sequential", sign: "positive" }) : undefined) : scale));
  const lines: Line[] = counterpart
    ? [joined(counterpart)]
    : answer.lines.map(({ query, reference, value }) => ({ query: query as [number, number], reference: reference as [number, number], value }));
  const current = lines[counterpart ? 0 : line];
  const divisible = answer.lines.length > 0;
  return (
    <div class="pair" ref={home}>
      {[one, other].map((photo, side) => {
        const field = shown[side]!;
        const end = current?.[SIDES[side]!];
        const over = hovering?.side === side ? hovering.position : null;
        return (
          <figure key={side} style={{ "--aspect": photo.width / photo.height }}>
            <figcaption>
              <b>{photoName(photo)}</b> <span class="quiet">{caption(side, photo, found?.there === side ? counterpart : null, rank, of)}</span>
            </figcaption>
            <PhotoMap
              photo={photo}
              alt={`${photoName(photo)} with the evidence for its similarity to ${photoName(side ? one : other)}`}
              field={field}
              scale={colored[side]}
              position={over}
              onPosition={(at) => setHovering(at && { side, position: at })}
              onChoose={divisible ? (at) => choose(SIDES[side]!, at) : undefined}
            >
              {end && <Tile field={field} at={end} />}
            </PhotoMap>
            <p class="read" aria-live="polite">
              {over ? `${sentence(position(over))}: ${raw(field.values[over[0] * field.columns + over[1]]!, true)}` : "\u00a0"}
            </p>
          </figure>
        );
      })}
      <p class="between">
        <b>{likeness(answer.value)}</b> <span class="quiet">{answer.metric}</span>
      </p>
      <Lines home={home} lines={lines} fields={shown} current={counterpart ? 0 : line} watch={[one, other, answer]} />
    </div>
  );
}

function joined({ at, answer }: Found): Line {
  const [here, there] = [[at.row, at.column] as [number, number], answer.peak as [number, number]];
  return at.side === "query" ? { query: here, reference: there, value: 1 } : { query: there, reference: here, value: 1 };
}

function caption(side: number, photo: PhotoEntry, found: Found | null, rank: number, of: number): string {
  if (found) return `like ${position([found.at.row, found.at.column])} ${side ? "of the query" : "of the other photo"}`;
  if (!side) return "the query";
  return [photo.truth, rank > 0 && `rank ${rank} of ${of}`].filter(Boolean).join(" · ");
}

function Tile({ field, at }: { field: Field; at: [number, number] }) {
  const [x0, y0, x1, y1] = tileOf(field, ...at);
  return <rect class="cell" x={x0} y={y0} width={x1 - x0} height={y1 - y0} />;
}

function sentence(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}
