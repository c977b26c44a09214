// The photo's pixels at the size they are drawn; each size is read once.
import { useEffect, useState } from "preact/hooks";
import { bytesOf } from "../wire/map";
import type { Patch } from "../wire/altered";

const images = new Map<string, Promise<HTMLImageElement>>();

export function imageOf(url: string): Promise<HTMLImageElement> {
  let image = images.get(url);
  if (!image) {
    image = new Promise((resolve, reject) => {
      const element = new Image();
      element.onload = () => resolve(element);
      element.onerror = () => reject(new Error("the photo could not be loaded"));
      element.src = url;
    });
    images.set(url, image);
  }
  return image;
}

/** The pixels of a photo, `side` pixels at its long side (never enlarged); null until they are there. */
export function usePixels(url: string, side: number): ImageData | null {
  const [pixels, setPixels] = useState<{ url: string; data: ImageData } | null>(null);
  useEffect(() => {
    let wanted = true;
    imageOf(url).then((image) => wanted && setPixels({ url, data: pixelsOf(image, side) }), () => undefined);
    return () => {
      wanted = false;
    };
  }, [url, side]);
  return pixels && pixels.url === url ? pixels.data : null;
}

/** The pixels of a part of a photo (x0, y0, x1, y1 in fractions of it), as a square; null until they are there. */
export function useBoxPixels(url: string, box: readonly number[], side: number): ImageData | null {
  const [pixels, setPixels] = useState<{ key: string; data: ImageData } | null>(null);
  const key = `${url} ${box.join()} ${side}`;
  useEffect(() => {
    let wanted = true;
    imageOf(url).then((image) => wanted && setPixels({ key, data: boxOf(image, box, side) }), () => undefined);
    return () => {
      wanted = false;
    };
  }, [key]);
  return pixels && pixels.key === key ? pixels.data : null;
}

function boxOf(image: HTMLImageElement, [x0, y0, x1, y1]: readonly number[], side: number): ImageData {
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, x0! * width, y0! * height, (x1! - x0!) * width, (y1! - y0!) * height, 0, 0, side, side);
  return context.getImageData(0, 0, side, side);
}

function pixelsOf(image: HTMLImageElement, side: number): ImageData {
  const ratio = Math.min(1, side / Math.max(image.naturalWidth, image.naturalHeight));
  const width = Math.max(1, Math.round(image.naturalWidth * ratio));
  const height = Math.max(1, Math.round(image.naturalHeight * ratio));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

/** The same pixels with a patch in them, as the network gets it; until the patch is read, those with the one before. */
export function usePatched(pixels: ImageData | null, patch: Patch | null): ImageData | null {
  const [patched, setPatched] = useState<{ pixels: ImageData; data: ImageData } | null>(null);
  useEffect(() => {
    if (!pixels || !patch) return setPatched(null);
    let wanted = true;
    const file = new Blob([bytesOf(patch.picture) as BlobPart], { type: "image/png" });
    void createImageBitmap(file).then((picture) => wanted && setPatched({ pixels, data: put(pixels, picture, patch.box) }));
    return () => {
      wanted = false;
    };
  }, [pixels, patch]);
  return patch && patched?.pixels === pixels ? patched.data : pixels;
}

function put(pixels: ImageData, picture: ImageBitmap, box: readonly number[]): ImageData {
  const { width, height } = pixels;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.putImageData(pixels, 0, 0);
  const [x0, y0, x1, y1] = box as [number, number, number, number];
  context.drawImage(picture, x0 * width, y0 * height, (x1 - x0) * width, (y1 - y0) * height);
  return context.getImageData(0, 0, width, height);
}
