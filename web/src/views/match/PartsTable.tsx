// What both photos have: parts of the similarity, what each claims, and what is lost without it.
import { PhotoCrop } from "../../controls/PhotoCrop";
import type { Asked } from "../../state/answers";
import { Waiting } from "../../controls/Waiting";
import { hover, isHovered } from "../../state/store";
import { fieldOf, tileOf, type Field } from "../../wire/map";
import type { Matched, PhotoEntry } from "../../wire/types";
import { percent } from "../../words/numbers";

export function PartsTable({ asked, photos }: { asked: Asked<Matched>; photos: readonly [PhotoEntry, PhotoEntry] }) {
  const parts = asked.answer?.parts ?? [];
  const what = asked.answer?.distance ? "distance" : "similarity";
  const most = Math.max(...parts.flatMap((part) => [part.share ?? 0, part.lost ?? 0, part.by_chance ?? 0].map(Math.abs)), 1e-9);
  return (
    <section class="sharedparts" aria-label="Parts of both photos">
      <Waiting asked={asked} what="Finding parts that both photos have" />
      {asked.answer && !parts.length && <p class="quiet">There is nothing in the {what} to divide into parts.</p>}
      {parts.length > 0 && (
        <table>
          <caption>
            <b>Parts of both</b> <span class="quiet">point at one to see where it lies; shares of the {what}</span>
          </caption>
          <thead>
            <tr>
              <th scope="col" class="spoken">part</th>
              <td />
              <th scope="col" class="for">share</th>
              <th scope="col">lost without it</th>
              <th scope="col">as much at random</th>
            </tr>
          </thead>
          <tbody>
            {parts.map((part, i) => (
              <tr class={isHovered("part", i) ? "same" : ""} tabIndex={0} {...hover("part", i)}>
                <th scope="row">part {i + 1}</th>
                <td>
                  <span class="two">
                    <Peak photo={photos[0]} field={fieldOf(part.query_map)} />
                    <Peak photo={photos[1]} field={fieldOf(part.reference_map)} />
                  </span>
                </td>
                <Share value={part.share} most={most} ink={false} />
                <Share value={part.lost} most={most} ink />
                <td class="number quiet">{part.by_chance === null ? "" : percent(part.by_chance)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Peak({ photo, field }: { photo: PhotoEntry; field: Field }) {
  const at = field.values.reduce((best, value, i) => (Math.abs(value) > Math.abs(field.values[best]!) ? i : best), 0);
  return <PhotoCrop photo={photo} box={tileOf(field, Math.floor(at / field.columns), at % field.columns)} size={52} />;
}

function Share({ value, most, ink }: { value: number | null; most: number; ink: boolean }) {
  if (value === null) return <td class="number quiet">not measured</td>;
  const side = value < 0 ? "against" : "for";
  return (
    <td class={`number ${ink ? "" : side}`}>
      <span class="sharebar" aria-hidden="true">
        <i class={ink ? "ink" : side} style={{ width: `${(100 * Math.abs(value)) / most}%` }} />
      </span>
      <span class="sharetext">{percent(value)}</span>
    </td>
  );
}
