import { expect } from 'vitest';
import type { RawImage } from '../../../lib/index.js';
import { maxAbsDiff, psnr } from '../../parity/psnr.js';

/** Every picture equal byte for byte, or to within some levels. A failure tells how far apart they are rather than which bytes. */
export function expectSameBytes(ours: readonly RawImage[], theirs: readonly RawImage[], atMost = 0): void {
  expect(ours.map(sizeOf)).toEqual(theirs.map(sizeOf));
  const differences = ours.map(({ data }, index) => {
    const other = theirs[index]?.data ?? new Uint8Array();
    return { maxAbsDiff: maxAbsDiff(data, other), psnr: psnr(data, other) };
  });
  if (atMost > 0) {
    for (const { maxAbsDiff: most } of differences) expect(most).toBeLessThanOrEqual(atMost);
    return;
  }
  expect(differences).toEqual(ours.map(() => ({ maxAbsDiff: 0, psnr: Infinity })));
}

function sizeOf({ width, height, channels }: RawImage): string {
  return `${String(width)}x${String(height)}x${String(channels)}`;
}
