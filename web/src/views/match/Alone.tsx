// One photo only: nothing to compare it with yet.
import { PhotoMap } from "../../controls/PhotoMap";
import { photo, transport } from "../../state/store";
import { AddPhotos } from "./AddPhotos";

export function Alone() {
  const one = photo.value!;
  return (
    <div class="match alone">
      <div class="question">
        <h1>What is {one.name} like?</h1>
      </div>
      <figure>
        <PhotoMap photo={one} alt={one.name} />
      </figure>
      <div class="second">
        <p class="answer">
          <b>{transport.value.upload ? "Drop a second photo, or a folder, to compare." : "There is one photo only."}</b> The network turns each
          photo into a list of numbers. Two photos are alike for it where these numbers are; the maps show which parts of both make it so.
        </p>
        <AddPhotos />
      </div>
    </div>
  );
}
