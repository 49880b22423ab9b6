import type { NativeImage, NativeTensor } from '../native/index.js';
import { zeros } from './tensors.js';

/** Black and white: v / 255 rounded, so 128 and above is 255 (repaint) and the rest 0 (keep). */
export function roundMask<T extends NativeImage>(mask: T): T {
  return { ...mask, data: mask.data.map((value) => (value >= 128 ? 255 : 0)) };
}

/**
 * Mask of the latent cells: a cell is repainted when any of its pixels is (the engine's NearestMax).
 * @param mask one channel, width and height multiples of `scaleFactor`.
 * @returns `[1, 1, height / scaleFactor, width / scaleFactor]`, 1 = repaint.
 */
export function latentMask(mask: NativeImage, scaleFactor: number): NativeTensor {
  const width = mask.width / scaleFactor;
  const result = zeros(1, mask.height / scaleFactor, width);
  for (let y = 0; y < mask.height; y++) {
    const row = Math.floor(y / scaleFactor) * width;
    for (let x = 0; x < mask.width; x++) {
      if ((mask.data[y * mask.width + x] ?? 0) >= 128) result.data[row + Math.floor(x / scaleFactor)] = 1;
    }
  }
  return result;
}

/** Widens a latent mask by one cell (3x3 max pooling); inpaint models repaint the seam as well. */
export function widenMask(mask: NativeTensor): NativeTensor {
  const [, , height = 0, width = 0] = mask.shape;
  const result = zeros(1, height, width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (mask.data[y * width + x] === 0) continue;
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) result.data[v * width + u] = 1;
      }
    }
  }
  return result;
}

/**
 * Flux Fill reads the full-size mask with the pixels of a cell as channels: channel = (y % f) * f + x % f.
 * @returns `[1, f * f, height / f, width / f]`.
 */
export function unshuffleMask(mask: NativeImage, scaleFactor: number): NativeTensor {
  const f = scaleFactor;
  const [height, width] = [mask.height / f, mask.width / f];
  const result = zeros(f * f, height, width);
  for (let y = 0; y < mask.height; y++) {
    for (let x = 0; x < mask.width; x++) {
      const channel = (y % f) * f + (x % f);
      const cell = Math.floor(y / f) * width + Math.floor(x / f);
      result.data[channel * height * width + cell] = (mask.data[y * mask.width + x] ?? 0) >= 128 ? 1 : 0;
    }
  }
  return result;
}
