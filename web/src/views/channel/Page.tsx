// One channel: what it answers to, in your photos and by itself.
import { useState } from "preact/hooks";
import { useBouts } from "../../state/bouts";
import { library, model } from "../../state/store";
import type { ChannelOff, ChannelPhotos } from "../../wire/types";
import { openRow } from "../atlas/opening";
import { Others } from "../atlas/Others";
import { AllPhotos } from "./AllPhotos";
import { Classes } from "./Classes";
import { FeatureImage } from "./FeatureImage";
import { Gallery } from "./Gallery";
import { Headline } from "./Headline";
import { Here } from "./Here";
import { SwitchedOff } from "./SwitchedOff";
import { Progressing } from "./Progressing";

const MOST_PHOTOS = 600; // as many as the server looks at
const AT_ONCE = 40; // photos in which a channel is switched off unasked

export function Page({ layer, channel }: { layer: string; channel: number }) {
  const on = { model: model.value!.name, layer, channel };
  const known = library.value!.photos.length;
  const [paused, setPaused] = useState(false);
  const [wanted, setWanted] = useState(false);
  const photos = useBouts<ChannelPhotos>("channel_photos", { ...on }, further, !paused, known);
  const all = photos.answer && photos.answer.photos >= photos.answer.of ? photos.answer : null;
  const decides = Boolean(photos.answer?.classes.length);
  const off = useBouts<ChannelOff>("channel_off", { ...on }, further, Boolean(all) && decides && (wanted || known <= AT_ONCE), known);
  return (
    <div class="channel">
      <Headline layer={layer} channel={channel} photos={photos.answer} off={off.answer} />
      <div class="stacked">
        <FeatureImage key={`${on.model} ${layer} ${channel}`} layer={layer} channel={channel} most={photos.answer?.strongest[0]?.value} />
        <Here layer={layer} channel={channel} />
      </div>
      <div class="stacked">
        <Progressing of={photos} what="photos looked at" onPause={() => setPaused(!paused)} paused={paused} />
        {photos.answer && <Gallery photos={photos.answer} />}
        {library.value!.atlas && <Others ask="alike_channel" query={{ run: library.value!.atlas, layer, channel }} title="Others decided by this channel" onOpen={openRow} />}
      </div>
      <div class="stacked">
        {photos.answer && known > 1 && (
          <>
            {decides && <Classes photos={photos.answer} />}
            <AllPhotos photos={photos.answer} />
            {decides && <SwitchedOff photos={photos.answer} off={off} onWanted={() => setWanted(true)} ready={Boolean(all)} />}
          </>
        )}
      </div>
    </div>
  );

  function further(answer: ChannelPhotos | ChannelOff | null): object | null {
    const all = answer && answer.photos >= answer.of && answer.of >= Math.min(known, MOST_PHOTOS);
    return all ? null : { seen: answer?.photos ?? 0 };
  }
}
