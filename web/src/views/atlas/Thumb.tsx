// A small photo with its map on it, or the map alone.
import { useEffect, useRef, useState } from "preact/hooks";
import { drawOverlay } from "../../draw/overlay";
import { chooseScale } from "../../draw/scale";
import { library, tables } from "../../state/store";
import { fieldOf } from "../../wire/map";
import type { WireMap } from "../../wire/types";

interface Props {
  /** "" draws the map alone, on gray. */
  url: string;
  map: WireMap | null;
  /** "" where words beside it say the same. */
  alt: string;
  method: string;
}

const BARE = 120; // pixels of a map alone

export function Thumb({ url, map, alt, method }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const pixels = useThumbPixels(url, map);
  const needs = library.value?.methods.find((one) => one.name === method.split(":")[0])?.needs;
  useEffect(() => {
    if (!pixels || !tables.value) return;
    const context = canvas.current!.getContext("2d")!;
    canvas.current!.width = pixels.width;
    canvas.current!.height = pixels.height;
    const field = map && fieldOf(map);
    const scale = field && chooseScale([field], { colors: needs === "activations" ? "sequential" : "diverging" });
    if (field && scale) drawOverlay(context, pixels, field, scale, tables.value);
    else context.putImageData(pixels, 0, 0);
  }, [pixels, map, needs, tables.value]);
  return <canvas class="thumb" ref={canvas} role={alt ? "img" : undefined} aria-label={alt || undefined} aria-hidden={!alt} width={BARE} height={BARE} />;
}

/** Not kept: a gallery shows thousands. */
function useThumbPixels(url: string, map: WireMap | null): ImageData | null {
  const [pixels, setPixels] = useState<ImageData | null>(null);
  useEffect(() => {
    let wanted = true;
    if (!url) setPixels(map && gray(map));
    else
      void pixelsOf(url).then(
        (data) => wanted && setPixels(data),
        () => undefined,
      );
    return () => {
      wanted = false;
    };
  }, [url, map]);
  return pixels;
}

async function pixelsOf(url: string): Promise<ImageData> {
  const image = new Image();
  image.src = url;
  await image.decode();
  const context = new OffscreenCanvas(image.naturalWidth, image.naturalHeight).getContext("2d")!;
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
}

function gray({ rows, columns }: WireMap): ImageData {
  const data = new ImageData(BARE, Math.max(1, Math.round((BARE * rows) / columns)));
  data.data.fill(200);
  for (let i = 3; i < data.data.length; i += 4) data.data[i] = 255;
  return data;
}
