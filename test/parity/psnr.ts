/** Largest difference of two equally long rows of samples, in levels (0..255); 0 for two empty rows. Throws RangeError. */
export function maxAbsDiff(a: Uint8Array, b: Uint8Array): number {
  requireSameLength(a, b);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs((a[i] as number) - (b[i] as number)));
  return largest;
}

/**
 * Peak signal-to-noise ratio of 8-bit samples in dB: 10 log10(255^2 / mean squared error). Infinity when all are equal.
 * Throws RangeError when the lengths differ or are 0: no samples prove nothing.
 */
export function psnr(a: Uint8Array, b: Uint8Array): number {
  requireSameLength(a, b);
  if (a.length === 0) throw new RangeError('psnr: no samples to compare');
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum === 0 ? Infinity : 10 * Math.log10(255 ** 2 / (sum / a.length));
}

function requireSameLength(a: Uint8Array, b: Uint8Array): void {
  if (a.length !== b.length) {
    throw new RangeError(`pictures differ in size: ${String(a.length)} and ${String(b.length)} samples`);
  }
}
