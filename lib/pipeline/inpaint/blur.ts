import type { NativeImage } from '../../native/index.js';

/** Standard deviations of a blur, pixels; 0: none along that axis. */
export interface Blur {
  readonly x: number;
  readonly y: number;
}

/** Weights of a Gaussian as A1111 cuts it off: 2 * floor(2.5 * sigma + 0.5) + 1 of them, their sum 1. */
export function gaussianKernel(sigma: number): Float64Array {
  const radius = Math.floor(2.5 * sigma + 0.5);
  const kernel = new Float64Array(2 * radius + 1);
  let sum = 0;
  for (let i = -radius; i <= radius; i++) {
    const weight = Math.exp(-(i * i) / (2 * sigma * sigma));
    kernel[i + radius] = weight;
    sum += weight;
  }
  return kernel.map((weight) => weight / sum);
}

/**
 * Blurs a mask of one channel along x, then along y, each rounded to bytes, as A1111 does through OpenCV. Beyond the
 * edge the picture is mirrored without its outermost pixel (OpenCV's default). OpenCV's fixed-point kernels come out up to two
 * levels elsewhere.
 */
export function blurMask(mask: NativeImage, { x, y }: Blur): NativeImage {
  const { width, height } = mask;
  let { data } = mask;
  if (x > 0) data = blurLines(data, { lines: height, lineStep: width, length: width, step: 1 }, gaussianKernel(x));
  if (y > 0) data = blurLines(data, { lines: width, lineStep: 1, length: height, step: width }, gaussianKernel(y));
  return { ...mask, data };
}

interface Lines {
  readonly lines: number;
  /** From one line to the next. */
  readonly lineStep: number;
  readonly length: number;
  /** From one pixel of a line to the next. */
  readonly step: number;
}

function blurLines(data: Uint8Array, { lines, lineStep, length, step }: Lines, kernel: Float64Array): Uint8Array {
  const result = new Uint8Array(data.length);
  const radius = (kernel.length - 1) / 2;
  // One line with its mirrored ends, and the sums up to each place: most windows of a mask are of one level.
  const padded = new Float64Array(length + 2 * radius);
  const sums = new Float64Array(padded.length + 1);
  for (let line = 0; line < lines; line++) {
    const start = line * lineStep;
    for (let i = 0; i < padded.length; i++) {
      padded[i] = data[start + mirrored(i - radius, length) * step] ?? 0;
      sums[i + 1] = (sums[i] ?? 0) + (padded[i] ?? 0);
    }
    for (let i = 0; i < length; i++) {
      const sum = (sums[i + kernel.length] ?? 0) - (sums[i] ?? 0);
      if (sum === 0) continue;
      result[start + i * step] = sum === 255 * kernel.length ? 255 : Math.round(weighted(padded, i, kernel));
    }
  }
  return result;
}

function weighted(values: Float64Array, start: number, kernel: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < kernel.length; i++) sum += (values[start + i] ?? 0) * (kernel[i] ?? 0);
  return sum;
}

/** `gfedcb|abcdefgh|gfedcba`, as often as needed. */
function mirrored(index: number, length: number): number {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const place = ((index % period) + period) % period;
  return place < length ? place : period - place;
}
