// The question is the headline and the control: which photo, and which other one. The answer in words below.
import { useRef } from "preact/hooks";
import { PhotoPicker } from "../../controls/PhotoPicker";
import { go } from "../../state/address";
import { library } from "../../state/store";
import type { PhotoEntry, Ranks } from "../../wire/types";
import { photoName } from "../../words/names";
import { compareWith, find, others } from "./state";
import { called, likeness, metricName } from "./words";

interface Props {
  one: PhotoEntry;
  other: PhotoEntry | null;
  rank: number;
  ranks: Ranks | null;
}

export function Headline({ one, other, rank, ranks }: Props) {
  const query = useRef<HTMLDialogElement>(null);
  const reference = useRef<HTMLDialogElement>(null);
  const button = (dialog: typeof query, name: string) => (
    <button type="button" class="asked" aria-haspopup="dialog" onClick={() => dialog.current?.showModal()}>
      {name}
    </button>
  );
  return (
    <div class="question">
      <h1>
        Why is {button(query, photoName(one))} {rank === 1 ? "most like" : "like"} {button(reference, other ? photoName(other) : "…")}?
      </h1>
      {ranks && other && <Answer ranks={ranks} rank={rank} />}
      <PhotoPicker dialog={query} label="Which photo" photos={library.value!.photos} onChoose={(hash) => go({ photo: hash, with: undefined, at: undefined })} />
      <PhotoPicker dialog={reference} label="Compared with which photo" photos={others.value} onChoose={compareWith} />
    </div>
  );
}

function Answer({ ranks, rank }: { ranks: Ranks; rank: number }) {
  const at = (place: number) => {
    const ranked = ranks.ranked[place - 1];
    const photo = ranked && find(ranked.photo);
    return photo ? { value: likeness(ranked.value), name: called(photo) } : null;
  };
  const [here, before, after] = [at(rank), at(rank - 1), at(rank + 1)];
  if (!here) return null;
  const many = ranks.ranked.length;
  return (
    <p class="answer">
      <b>
        {metricName(ranks.metric)} {here.value}
        {many > 1 && `, rank ${rank} of ${many}`}.
      </b>{" "}
      <span class="quiet">
        {before && `Before it ${before.name} with ${before.value}. `}
        {after && `The next is ${after.name} with ${after.value}. `}
        {ranks.distance && "A small distance means alike."}
      </span>
    </p>
  );
}
