// What the selected node looks like elsewhere: the photos in which it is strongest, and an image made for it; on demand.
import { signal } from "@preact/signals";
import { views } from "../../app/views";
import { BoxCrop } from "../../controls/BoxCrop";
import { Waiting } from "../../controls/Waiting";
import { useAnswer, type Asked } from "../../state/answers";
import { linkTo } from "../../state/address";
import { library, photo } from "../../state/store";
import { keyOf } from "../../state/transport";
import type { Elsewhere as Found, PartImage } from "../../wire/types";
import { count } from "../../words/numbers";
import type { Level, Shown } from "./levels";

/** What was asked for, by its key. */
const wanted = signal<ReadonlySet<string>>(new Set());

function useOnDemand<Answer>(name: string, query: object): [Asked<Answer>, asked: boolean, ask: () => void] {
  const key = keyOf(name, query);
  const is = wanted.value.has(key);
  return [useAnswer<Answer>(name, is ? query : null), is, () => (wanted.value = new Set([...wanted.value, key]))];
}

export function Elsewhere({ one, query }: { one: Shown; query: object }) {
  const photos = (library.value?.photos ?? []).map((each) => each.hash);
  const [found, looking, look] = useOnDemand<Found>("tree/elsewhere", { ...query, of: one.node.id, photos });
  const [made, making, make] = useOnDemand<PartImage>("tree/image", { ...query, of: one.node.id });
  const others = photos.filter((hash) => hash !== photo.value?.hash).length;
  const examples = found.waiting ? [] : (found.answer?.examples ?? []);
  const orders = (["contribution", "activation"] as const).map((order) => examples.filter((each) => each.order === order));
  return (
    <>
      {others > 0 && (
        <section class="elsewhere">
          <h2>
            Strongest elsewhere <span class="quiet">in {count(others, "other photo")}</span>
          </h2>
          {!looking && (
            <button type="button" onClick={look}>
              Look for it
            </button>
          )}
          <Waiting asked={found} />
          {found.answer && !found.waiting && examples.length === 0 && <p class="quiet">In none of them.</p>}
          {orders.map((some, i) => some.length > 0 && <Row label={i ? "where it is seen" : "where it counts for this question"} examples={some} />)}
        </section>
      )}
      <section class="elsewhere">
        <h2>An image made for it</h2>
        {!making && (
          <button type="button" onClick={make}>
            Make one
          </button>
        )}
        <Waiting asked={made} />
        {made.answer && !made.waiting && <img class="madefor" src={made.answer.image} alt={`An image optimized until the channels of ${one.name} are strongest`} />}
      </section>
    </>
  );
}

function Row({ label, examples }: { label: string; examples: Found["examples"] }) {
  const photos = library.value?.photos ?? [];
  return (
    <>
      <p class="quiet small-caps">{label}</p>
      <ul class="crops">
        {examples.map((each) => {
          const of = photos.find((one) => one.hash === each.photo);
          return (
            of && (
              <li>
                <a href={linkTo({ photo: of.hash, open: undefined, node: undefined, off: undefined, names: undefined })} aria-label={`Take ${of.name} apart`} title={of.name}>
                  <BoxCrop url={of.url} box={each.box} side={56} />
                </a>
              </li>
            )
          );
        })}
      </ul>
    </>
  );
}

/** A channel has a page of its own. */
export function ChannelLink({ one, level }: { one: Shown; level: Level }) {
  const channel = one.node.channels[0];
  const view = views().find((each) => each.name.startsWith("channel"));
  if (!view || channel === undefined) return null;
  return (
    <p>
      <a class="link" href={linkTo({ view: view.name, path: [level.stage.name, String(channel)] })}>
        Channel {channel} of {level.stage.name} in all photos
      </a>
    </p>
  );
}
