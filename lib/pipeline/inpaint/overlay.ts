import { resizeTo } from '../../image/index.js';
import type { NativeImage, NativeSize } from '../../native/index.js';
import type { Region } from './region.js';

/** What is laid over a painted picture, so that what the mask keeps is the original's bytes. */
export interface Overlay {
  /** The original, three channels. */
  readonly image: NativeImage;
  /** Of its size, one channel: 0 keeps the original, 255 takes the painted picture. */
  readonly mask: NativeImage;
  /** Where the painted picture belongs in the original; null: it has the original's size. */
  readonly region: Region | null;
}

/** Twice the mask, as A1111 lays it over a whole picture: what the rounded mask repaints is repainted in full. */
export function doubled(mask: NativeImage): NativeImage {
  return { ...mask, data: mask.data.map((value) => Math.min(255, 2 * value)) };
}

/**
 * The painted picture with the original around it. A picture of a region is scaled to it (`crop`, as A1111 does) and the
 * result has the original's size. Where the overlay's mask is 0 every byte is the original's.
 */
export async function pasteBack(
  painted: NativeImage,
  overlay: Overlay | null | undefined,
  signal?: AbortSignal,
): Promise<NativeImage> {
  if (overlay === null || overlay === undefined) return painted;
  const { image, mask, region } = overlay;
  const place = region ?? { left: 0, top: 0, right: image.width, bottom: image.height };
  const size: NativeSize = { width: place.right - place.left, height: place.bottom - place.top };
  const pixels = await resizeTo(
    { ...painted, channels: 3 as const },
    { ...size, mode: 'crop', field: 'image', signal },
  );
  const data = Uint8Array.from(image.data);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const target = (y + place.top) * image.width + x + place.left;
      const weight = mask.data[target] ?? 0;
      if (weight === 0) continue;
      const source = 3 * (y * size.width + x);
      for (let c = 0; c < 3; c++) {
        const [from, to] = [data[3 * target + c] ?? 0, pixels.data[source + c] ?? 0];
        data[3 * target + c] = Math.round((to * weight + from * (255 - weight)) / 255);
      }
    }
  }
  return { ...image, data };
}
