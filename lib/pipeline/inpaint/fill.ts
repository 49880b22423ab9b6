import type { NativeImage } from '../../native/index.js';

/** Blurs that are laid over each other, the widest first: standard deviation in pixels, and how often. */
const layers: readonly (readonly [sigma: number, repeats: number])[] = [
  [256, 1],
  [64, 1],
  [16, 2],
  [4, 4],
  [2, 2],
  [0, 1],
];

/**
 * Fills the masked part with blurred colours of the rest, as A1111's `fill` (modules/masking.py): what the mask leaves
 * is blurred with ever narrower Gaussians, laid over each other, and itself last. Where the mask is 0 every byte stays.
 * An all-white mask leaves nothing to take colours from and gives black.
 * @param image three channels; `mask` one channel of the same size, 255 = fill.
 */
export async function fillMasked(image: NativeImage, mask: NativeImage, signal?: AbortSignal): Promise<NativeImage> {
  const { width, height } = image;
  const kept = premultiplied(image, mask);
  const sum = kept.map((plane) => new Float32Array(plane.length));
  for (const [sigma, repeats] of layers) {
    const layer: Float32Array[] = [];
    for (const plane of kept) {
      layer.push(sigma === 0 ? plane : boxGaussian(plane, width, height, sigma));
      // A large picture takes a second in all; timers and other jobs get their turn in between.
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
    }
    const alpha = layer[3] ?? new Float32Array();
    for (const [channel, target] of sum.entries()) layOver(target, layer[channel] ?? alpha, alpha, repeats);
  }
  const [red, green, blue, alpha] = sum as [Float32Array, Float32Array, Float32Array, Float32Array];
  const data = new Uint8Array(image.data.length);
  for (let i = 0; i < width * height; i++) {
    const a = alpha[i] ?? 0;
    if (a === 0) continue;
    data[3 * i] = Math.round((red[i] ?? 0) / a);
    data[3 * i + 1] = Math.round((green[i] ?? 0) / a);
    data[3 * i + 2] = Math.round((blue[i] ?? 0) / a);
  }
  return { ...image, data };
}

/** Planes of red, green, blue times alpha, and alpha (0..1): what the mask leaves. */
function premultiplied({ width, height, data }: NativeImage, mask: NativeImage): Float32Array[] {
  const planes = Array.from({ length: 4 }, () => new Float32Array(width * height));
  for (let i = 0; i < width * height; i++) {
    const alpha = 1 - (mask.data[i] ?? 0) / 255;
    for (const [channel, plane] of planes.entries())
      plane[i] = alpha * (channel === 3 ? 1 : (data[3 * i + channel] ?? 0));
  }
  return planes;
}

/** `over` of Porter and Duff, so many times. */
function layOver(target: Float32Array, layer: Float32Array, alpha: Float32Array, repeats: number): void {
  for (let i = 0; i < target.length; i++) {
    let value = target[i] ?? 0;
    for (let n = 0; n < repeats; n++) value = (layer[i] ?? 0) + value * (1 - (alpha[i] ?? 0));
    target[i] = value;
  }
}

/**
 * A Gaussian made of three box filters whose ends weigh a part of a pixel (Gwosdek et al., "Theoretical foundations of
 * Gaussian convolution by extended box filtering", 2011), the kind that Pillow has. Edge pixels go on outside. Its time
 * does not depend on sigma.
 */
export function boxGaussian(plane: Float32Array, width: number, height: number, sigma: number): Float32Array {
  const variance = (sigma * sigma) / 3;
  const radius = Math.floor((Math.sqrt(12 * variance + 1) - 1) / 2);
  const part = ((2 * radius + 1) * (radius * (radius + 1) - 3 * variance)) / (6 * (variance - (radius + 1) ** 2));
  const box = { radius, part };
  let result = plane;
  for (let pass = 0; pass < 3; pass++) result = boxLines(result, height, width, width, 1, box);
  for (let pass = 0; pass < 3; pass++) result = boxLines(result, width, 1, height, width, box);
  return result;
}

/** A window of 2 * radius + 1 whole pixels and one more at either end that weighs `part`. */
function boxLines(
  data: Float32Array,
  lines: number,
  lineStep: number,
  length: number,
  step: number,
  { radius, part }: { readonly radius: number; readonly part: number },
): Float32Array {
  const result = new Float32Array(data.length);
  const weight = 1 / (2 * radius + 1 + 2 * part);
  for (let line = 0; line < lines; line++) {
    const start = line * lineStep;
    const at = (i: number): number => data[start + Math.min(Math.max(i, 0), length - 1) * step] ?? 0;
    let sum = 0;
    for (let i = -radius; i <= radius; i++) sum += at(i);
    for (let i = 0; i < length; i++) {
      result[start + i * step] = weight * (sum + part * (at(i - radius - 1) + at(i + radius + 1)));
      sum += at(i + radius + 1) - at(i - radius);
    }
  }
  return result;
}
