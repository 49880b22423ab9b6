import type { NativeTensor } from '../../native/index.js';
import { type LatentMode, resizeLatent } from './latentResize.js';
import type { HiresSize } from './size.js';

/**
 * Enlarges the latent of a first pass to the start of a second: `[n, c, h, w]` to
 * `[n, c, size.height / f, size.width / f]`, enlarged to `size.upscaled… // f` cells and cut as A1111 cuts.
 * @param scaleFactor pixels per latent cell, f.
 */
export function upscaleLatent(
  latent: NativeTensor,
  size: HiresSize,
  mode: LatentMode,
  scaleFactor: number,
): NativeTensor {
  const cells = (pixels: number): number => Math.floor(pixels / scaleFactor);
  const enlarged = resizeLatent(latent, cells(size.upscaledHeight), cells(size.upscaledWidth), mode);
  return cropLatent(enlarged, cells(size.cropX), cells(size.cropY), cells(size.width), cells(size.height));
}

function cropLatent(tensor: NativeTensor, x: number, y: number, width: number, height: number): NativeTensor {
  const [n = 0, channels = 0, fromHeight = 0, fromWidth = 0] = tensor.shape;
  if (fromHeight === height && fromWidth === width) return tensor;
  const data = new Float32Array(n * channels * height * width);
  for (let plane = 0; plane < n * channels; plane++) {
    for (let row = 0; row < height; row++) {
      const start = (plane * fromHeight + y + row) * fromWidth + x;
      data.set(tensor.data.subarray(start, start + width), (plane * height + row) * width);
    }
  }
  return { shape: [n, channels, height, width], data };
}
