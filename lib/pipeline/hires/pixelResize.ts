import { setImmediate } from 'node:timers/promises';
import type { NativeImage } from '../../native/index.js';
import { cubic, type Filter, filterTaps, lanczos3, makeTaps, type Taps } from './taps.js';

/** Filters for pictures, as Pillow names them in lower case. */
export type PixelFilter = 'lanczos' | 'bicubic' | 'nearest';

const filters: Readonly<Record<Exclude<PixelFilter, 'nearest'>, Filter>> = { lanczos: lanczos3, bicubic: cubic(-0.5) };

/** Bits behind the point of Pillow's weights for 8-bit pictures. */
const precision = 22;

/** Multiplications between two looks at the event loop: some milliseconds. */
const block = 4_000_000;

/**
 * Resizes a picture to `width` x `height` pixels; the bytes are those of Pillow's `Image.resize`, which A1111 calls.
 *
 * Not through sharp: libvips enlarges with a bicubic kernel whatever kernel is named, and sharp aligns corners, so the
 * picture moves by half a pixel. The second pass is img2img, so that would stay in the result.
 * @param image 8 bits, any number of channels.
 * @param width, height pixels, integers from 1.
 * @param signal looked at every few milliseconds of work.
 */
export async function resizePixels(
  image: NativeImage,
  width: number,
  height: number,
  filter: PixelFilter,
  signal?: AbortSignal,
): Promise<NativeImage> {
  signal?.throwIfAborted();
  if (image.width === width && image.height === height) return image;
  const pause = pauser(signal);
  const across = image.width === width ? image : await resizeWidth(image, pixelTaps(image.width, width, filter), pause);
  return across.height === height ? across : await resizeHeight(across, pixelTaps(image.height, height, filter), pause);
}

/** The part of a picture from (x, y) on; the picture itself when that is all of it. */
export function cropPixels(image: NativeImage, x: number, y: number, width: number, height: number): NativeImage {
  if (width === image.width && height === image.height) return image;
  const { channels } = image;
  const row = width * channels;
  const data = new Uint8Array(row * height);
  for (let i = 0; i < height; i++) {
    const start = ((y + i) * image.width + x) * channels;
    data.set(image.data.subarray(start, start + row), i * row);
  }
  return { width, height, channels, data };
}

/** Pillow's `normalize_coeffs_8bpc`: weights as whole numbers. The nearest pixel has the whole weight. */
function pixelTaps(from: number, to: number, filter: PixelFilter): Taps {
  const one = 1 << precision;
  if (filter !== 'nearest') {
    const { count, sources, weights } = filterTaps(from, to, filters[filter]);
    return { count, sources, weights: weights.map((weight) => Math.trunc(weight * one + (weight < 0 ? -0.5 : 0.5))) };
  }
  // `ImagingScaleAffine` of Pillow steps from place to place, which decides where two pixels are equally near.
  const step = from / to;
  let place = step / 2;
  return makeTaps(to, 1, (_, add) => {
    add(Math.min(Math.floor(place), from - 1), one);
    place += step;
  });
}

type Pause = (work: number) => Promise<void> | undefined;

/** Lets the event loop go on now and then. */
function pauser(signal: AbortSignal | undefined): Pause {
  let done = 0;
  return (work) => {
    done += work;
    if (done < block) return undefined;
    done = 0;
    return setImmediate().then(() => signal?.throwIfAborted());
  };
}

async function resizeWidth(image: NativeImage, taps: Taps, pause: Pause): Promise<NativeImage> {
  const { channels, height } = image;
  const { count, sources, weights } = taps;
  const width = sources.length / count;
  const data = new Uint8ClampedArray(width * height * channels);
  const offsets = sources.map((source) => source * channels);
  let out = 0;
  for (let y = 0; y < height; y++) {
    const start = y * image.width * channels;
    for (let tap = 0; tap < offsets.length; tap += count) {
      for (let c = start; c < start + channels; c++) {
        let sum = 1 << (precision - 1);
        for (let k = tap; k < tap + count; k++)
          sum += (weights[k] as number) * (image.data[c + (offsets[k] as number)] as number);
        data[out++] = sum >> precision;
      }
    }
    await pause(offsets.length * channels);
  }
  return { width, height, channels, data: new Uint8Array(data.buffer) };
}

async function resizeHeight(image: NativeImage, taps: Taps, pause: Pause): Promise<NativeImage> {
  const { channels, width } = image;
  const { count, sources, weights } = taps;
  const height = sources.length / count;
  const row = width * channels;
  const data = new Uint8ClampedArray(row * height);
  const sums = new Float64Array(row);
  for (let y = 0; y < height; y++) {
    sums.fill(1 << (precision - 1));
    for (let k = y * count; k < (y + 1) * count; k++) {
      const weight = weights[k] as number;
      if (weight === 0) continue;
      const start = (sources[k] as number) * row;
      for (let i = 0; i < row; i++) sums[i] = (sums[i] as number) + weight * (image.data[start + i] as number);
    }
    const out = y * row;
    for (let i = 0; i < row; i++) data[out + i] = (sums[i] as number) >> precision;
    await pause(row * count);
  }
  return { width, height, channels, data: new Uint8Array(data.buffer) };
}
