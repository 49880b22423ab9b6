import { readImage } from '../image/index.js';

/** RGB pixels, row by row. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** RGB pixels of a file. */
export async function readPixels(path: string): Promise<Pixels> {
  const { width, height, data } = await readImage(path);
  return { width, height, data };
}

/** Peak signal-to-noise ratio in dB, 10 log10(255^2 / MSE): Infinity for equal pixels, NaN for other sizes. */
export function psnr(ours: Pixels, theirs: Pixels): number {
  if (ours.width !== theirs.width || ours.height !== theirs.height) return NaN;
  let sum = 0;
  for (let i = 0; i < ours.data.length; i++) sum += ((ours.data[i] ?? 0) - (theirs.data[i] ?? 0)) ** 2;
  return 10 * Math.log10(255 ** 2 / (sum / ours.data.length));
}

/** Below this two pictures are not the same drawing: the times then compare different work, or a broken peer. */
const alike = 25;

/** A sentence on whether two sides drew the same. Times compare only when they did. */
export function comparePictures(where: string, peer: string, ours: Pixels, theirs: Pixels): string {
  const value = psnr(ours, theirs);
  if (value === Infinity) return `${where}: the picture of ${peer} has the same pixels.`;
  if (value >= alike) return `${where}: the picture of ${peer} is within ${value.toFixed(1)} dB (PSNR) of ours.`;
  const how = Number.isNaN(value) ? 'another size' : `a PSNR of ${value.toFixed(1)} dB`;
  return `${where}: WARNING: ${peer} drew another picture (${how}): the times may not compare.`;
}
