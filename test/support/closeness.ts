/** How near f32 values are to those of another backend. */
export interface Closeness {
  /** Peak signal-to-noise ratio in dB; the peak is the range of the wanted values. Infinity: all are equal. */
  readonly psnr: number;
  /** Euclidean norm of the difference, of that of the wanted values. */
  readonly relativeError: number;
}

/** Throws RangeError when lengths differ, nothing is compared, or the wanted values are all the same: that proves nothing. */
export function closeness(got: Float32Array, wanted: Float32Array): Closeness {
  if (got.length !== wanted.length || wanted.length === 0) {
    throw new RangeError(`closeness: ${String(got.length)} and ${String(wanted.length)} values`);
  }
  let [least, most, squares, errors] = [Infinity, -Infinity, 0, 0];
  for (const [index, value] of wanted.entries()) {
    least = Math.min(least, value);
    most = Math.max(most, value);
    squares += value ** 2;
    errors += ((got[index] ?? NaN) - value) ** 2;
  }
  if (!(most > least)) throw new RangeError('closeness: the wanted values are all the same');
  // What is not finite on either side makes both figures NaN, which passes no comparison.
  return {
    psnr: errors === 0 ? Infinity : 10 * Math.log10((most - least) ** 2 / (errors / wanted.length)),
    relativeError: Math.sqrt(errors / squares),
  };
}
