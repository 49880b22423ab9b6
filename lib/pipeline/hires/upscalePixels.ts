import type { NativeImage, NativeSize } from '../../native/index.js';
import { cropPixels, type PixelFilter, resizePixels } from './pixelResize.js';
import type { HiresSize } from './size.js';

/** One run of an ESRGAN model: a picture some whole number of times as wide and high. */
export type EnlargeByModel = (image: NativeImage) => Promise<NativeImage>;

/** A1111 runs a model so many times at most, then its filter does the rest. */
const mostRuns = 3;

/**
 * Enlarges the picture of a first pass to the start of a second: resized to `size.upscaled…` pixels, then cut to
 * `size.width` x `size.height`. A1111 encodes the whole and cuts latent cells off; the cut is at the same place, and a
 * smaller picture is encoded.
 * @param image 8-bit RGB.
 * @throws the signal's reason.
 */
export async function upscalePixels(
  image: NativeImage,
  size: HiresSize,
  filter: PixelFilter,
  signal?: AbortSignal,
): Promise<NativeImage> {
  const enlarged = await resizePixels(image, size.upscaledWidth, size.upscaledHeight, filter, signal);
  return cropPixels(enlarged, size.cropX, size.cropY, size.width, size.height);
}

/**
 * As {@link upscalePixels} with a model, as `Upscaler.upscale` of A1111's `modules/upscaler.py`: it runs until the
 * picture is as large as wanted in both directions (three times at most), then Lanczos makes the size exact.
 */
export async function upscaleByModel(
  image: NativeImage,
  size: HiresSize,
  enlarge: EnlargeByModel,
  signal?: AbortSignal,
): Promise<NativeImage> {
  let current = image;
  for (let run = 0; run < mostRuns && isSmaller(current, size); run++) {
    signal?.throwIfAborted();
    const next = await enlarge(current);
    const grew = next.width > current.width || next.height > current.height;
    current = next;
    // A model that only cleans pictures would never get there.
    if (!grew) break;
  }
  return upscalePixels(current, size, 'lanczos', signal);
}

/** Sizes of the pictures that {@link upscaleByModel} will give a model. */
export function modelRuns(first: NativeSize, size: HiresSize, scale: number): NativeSize[] {
  const runs: NativeSize[] = [];
  let { width, height } = first;
  while (runs.length < mostRuns && isSmaller({ width, height }, size)) {
    runs.push({ width, height });
    [width, height] = [width * scale, height * scale];
    if (scale <= 1) break;
  }
  return runs;
}

function isSmaller({ width, height }: NativeSize, size: HiresSize): boolean {
  return width < size.upscaledWidth || height < size.upscaledHeight;
}
