import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NativeImage } from '../../lib/native/contract.js';
import { cut, expandRegion, maskBounds, padRegion, type Region } from '../../lib/pipeline/inpaint/region.js';

const region = (left: number, top: number, right: number, bottom: number): Region => ({ left, top, right, bottom });
const size = (width: number, height: number) => ({ width, height });

describe('maskBounds and padRegion', () => {
  const mask: NativeImage = { ...size(6, 4), channels: 1, data: new Uint8Array(24) };
  mask.data[1 * 6 + 2] = 1;
  mask.data[3 * 6 + 4] = 255;

  it('finds the smallest box of what is not black, or none', () => {
    expect(maskBounds(mask)).toEqual(region(2, 1, 5, 4));
    expect(maskBounds({ ...mask, data: new Uint8Array(24) })).toBeNull();
  });

  it('pads as far as the picture goes', () => {
    expect(padRegion(region(10, 1, 20, 30), 8, size(100, 32))).toEqual(region(2, 0, 28, 32));
    expect(padRegion(region(10, 1, 20, 30), 0, size(100, 32))).toEqual(region(10, 1, 20, 30));
  });
});

describe('expandRegion', () => {
  // Worked out by hand from the rules of A1111's expand_crop_region.
  it.each([
    ['128x32 becomes 128x128', region(100, 200, 228, 232), size(512, 512), size(512, 512), region(100, 152, 228, 280)],
    ['the odd row goes below', region(10, 10, 21, 14), size(64, 64), size(100, 100), region(10, 7, 21, 18)],
    ['pushed back from below', region(0, 90, 40, 100), size(64, 64), size(100, 100), region(0, 60, 40, 100)],
    ['pushed back from the left', region(5, 5, 15, 35), size(128, 64), size(200, 100), region(0, 5, 60, 35)],
    ['the picture is too small', region(0, 10, 100, 20), size(64, 64), size(100, 50), region(0, 0, 100, 50)],
    ['parts of a pixel are dropped', region(0, 0, 10, 7), size(96, 64), size(50, 50), region(0, 0, 10, 7)],
  ])('%s', (_, given, wanted, picture, expected) => {
    expect(expandRegion(given, wanted, picture)).toEqual(expected);
  });

  it('never leaves the picture, never loses a part, and has the wanted shape where the picture allows', () => {
    const side = fc.integer({ min: 1, max: 300 });
    fc.assert(
      fc.property(side, side, fc.array(fc.nat(), { minLength: 4, maxLength: 4 }), side, side, (w, h, cuts, ww, wh) => {
        const span = (a = 0, b = 0, n: number): [number, number] => {
          const start = a % n;
          return [start, start + 1 + (b % (n - start))];
        };
        const [[left, right], [top, bottom]] = [span(cuts[0], cuts[1], w), span(cuts[2], cuts[3], h)];
        const result = expandRegion(region(left, top, right, bottom), size(ww, wh), size(w, h));
        expect(result.left >= 0 && result.top >= 0 && result.right <= w && result.bottom <= h).toBe(true);
        expect(result.left <= left && result.top <= top && result.right >= right && result.bottom >= bottom).toBe(true);
        const [rw, rh] = [result.right - result.left, result.bottom - result.top];
        // One axis is as it was; the other is short of the shape by a pixel at most, or as long as the picture.
        if (rw === right - left)
          expect(rh === h || Math.abs(rh - (rw * wh) / ww) < 1 + 1e-6 || rh === bottom - top).toBe(true);
        else expect(rh === bottom - top && (rw === w || Math.abs(rw - (rh * ww) / wh) < 1 + 1e-6)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('cut', () => {
  it('takes the pixels of the box', () => {
    const image = { ...size(4, 3), channels: 3, data: Uint8Array.from({ length: 36 }, (_, i) => i) };
    expect(cut(image, region(1, 1, 3, 2))).toEqual({
      ...size(2, 1),
      channels: 3,
      data: Uint8Array.from([15, 16, 17, 18, 19, 20]),
    });
  });
});
