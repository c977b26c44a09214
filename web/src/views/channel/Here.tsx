// The channel in the photo that is open: where it is on, and what it brings.
import { useMemo } from "preact/hooks";
import { PhotoMap } from "../../controls/PhotoMap";
import { Waiting } from "../../controls/Waiting";
import { chooseScale } from "../../draw/scale";
import { useAnswer } from "../../state/answers";
import { colors, model, photo, target } from "../../state/store";
import { fieldOf } from "../../wire/map";
import type { ChannelHere } from "../../wire/types";
import { raw, signedPoints } from "../../words/numbers";
import { shortName } from "../../words/names";

export function Here({ layer, channel }: { layer: string; channel: number }) {
  const asked = useAnswer<ChannelHere>("channel", { photo: photo.value!.hash, model: model.value!.name, target: target.value, layer, channel });
  const here = asked.answer;
  const field = here ? fieldOf(here.map) : null;
  const scale = useMemo(() => (field ? chooseScale([field], { colors: colors.value }) : undefined), [field, colors.value]);
  const name = photo.value!.name;
  return (
    <section class={`here${asked.waiting && here ? " old" : ""}`}>
      <h2>
        In {name} <span class="quiet">{here && (here.peak > 0 ? `${raw(here.peak)} at most` : "nowhere on")}</span>
      </h2>
      <Waiting asked={asked} />
      {here && (
        <div class="beside">
          <PhotoMap photo={photo.value!} alt={`Where channel ${channel} is on in ${name}`} field={field} scale={scale} side={320} />
          <p>
            {here.brings === null ? (
              "The network has no classes to bring anything to."
            ) : (
              <>
                Brings
                {here.alone !== null && (
                  <>
                    {" "}
                    <Points value={here.alone} /> to the score of {shortName(here.predicted)}
                  </>
                )}
                {here.asked.length === 2 ? (
                  <>
                    {" and "}
                    <Points value={here.brings} /> to the lead over {shortName(here.asked[1]!)}
                  </>
                ) : (
                  here.asked[0] !== here.predicted && (
                    <>
                      {" and "}
                      <Points value={here.brings} /> to {here.asked[0] ? shortName(here.asked[0]) : here.target}
                    </>
                  )
                )}
                .
              </>
            )}
          </p>
        </div>
      )}
    </section>
  );
}

function Points({ value }: { value: number }) {
  return <b class={value < 0 ? "against" : "for"}>{signedPoints(value)}</b>;
}
