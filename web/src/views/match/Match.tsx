// Why is this photo like that one? Two photos with their evidence, the strongest pairs of positions, and the ranks.
import { Waiting } from "../../controls/Waiting";
import { address } from "../../state/address";
import { useAnswer } from "../../state/answers";
import { model, photo, transport } from "../../state/store";
import type { PhotoEntry, Ranks } from "../../wire/types";
import { Alone } from "./Alone";
import { Apart } from "./Apart";
import { Headline } from "./Headline";
import { Photos } from "./Photos";
import { RankList } from "./RankList";
import { Shared } from "./Shared";
import { find, metric, others } from "./state";

export function Match() {
  const one = photo.value!;
  const on = { photo: one.hash, model: model.value!.name, metric: metric.value };
  const among = others.value.map((other) => other.hash);
  const ranked = useAnswer<Ranks>("ranks", among.length ? { ...on, among } : null);
  if (!among.length) return <Alone />;
  const order = (ranked.answer?.ranked ?? []).map(({ photo: hash }) => find(hash)).filter((other): other is PhotoEntry => other !== null);
  const divides = (other: PhotoEntry | null, than: PhotoEntry | null) =>
    other !== null && than !== null && transport.value.has("contrast", { ...on, other: other.hash, than: than.hash });
  const other = find(address.value.with) ?? order[0] ?? null;
  const at = other ? order.indexOf(other) : -1;
  const named = find(address.value.than);
  const next = named && named !== other ? named : (order[at + 1] ?? order[at - 1] ?? null);
  const apart = address.value.show === "apart" && next !== null && divides(other, next);
  return (
    <div class="match">
      <Headline one={one} other={other} rank={at + 1} ranks={ranked.answer} />
      <div class="matched">
        {!other ? (
          <Photos photos={[one]} />
        ) : apart ? (
          <Apart on={on} one={one} other={other} than={next} order={order} />
        ) : (
          <Shared on={on} one={one} other={other} rank={at + 1} of={order.length} divisible={divides(other, next)} />
        )}
      </div>
      <aside class="ranks" aria-label="Ranks">
        <Waiting asked={ranked} what="Comparing the photos" />
        {ranked.answer && <RankList ranks={ranked.answer} chosen={other?.hash ?? ""} old={ranked.waiting} />}
      </aside>
    </div>
  );
}
