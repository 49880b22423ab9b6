import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NativeImage } from '../../lib/native/contract.js';
import { blurMask, gaussianKernel } from '../../lib/pipeline/inpaint/blur.js';
import { boxGaussian, fillMasked } from '../../lib/pipeline/inpaint/fill.js';
import { doubled, pasteBack } from '../../lib/pipeline/inpaint/overlay.js';

function grey(width: number, height: number, at: (x: number, y: number) => number): NativeImage {
  const data = Uint8Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width)));
  return { width, height, channels: 1, data };
}

function rgb(width: number, height: number, at: (x: number, y: number) => readonly number[]): NativeImage {
  const data = Uint8Array.from({ length: width * height }).fill(0);
  const pixels = Array.from(data, (_, i) => at(i % width, Math.floor(i / width))).flat();
  return { width, height, channels: 3, data: Uint8Array.from(pixels) };
}

const transposed = ({ width, height, data }: NativeImage): NativeImage =>
  grey(height, width, (x, y) => data[x * width + y] ?? NaN);

/** Masks of two levels, small enough that the mirror beyond the edges is met. */
const masks = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 2 ** 30 }))
  .map(([width, height, bits]) =>
    grey(width, height, (x, y) => (((bits >> ((7 * x + 3 * y) % 30)) & 1) === 1 ? 255 : 0)),
  );
const sigmas = fc.double({ min: 0.2, max: 6, noNaN: true });

/** One line after the other, by the definition: the mirrored line is written out. */
function blurredRows({ width, height, data }: NativeImage, sigma: number): NativeImage {
  const reach = Math.floor(2.5 * sigma + 0.5);
  return grey(width, height, (x, y) => {
    const line = Array.from(data.subarray(y * width, (y + 1) * width));
    const around = (n: number): number => {
      let place = n;
      while (place < 0 || place >= width) place = width === 1 ? 0 : place < 0 ? -place : 2 * (width - 1) - place;
      return line[place] ?? NaN;
    };
    let [sum, weights] = [0, 0];
    for (let i = -reach; i <= reach; i++) {
      const weight = Math.exp(-0.5 * (i / sigma) ** 2);
      sum += weight * around(x + i);
      weights += weight;
    }
    return Math.round(sum / weights);
  });
}

describe('blurMask', () => {
  it('has as many taps as A1111 takes, of sum 1', () => {
    for (const [sigma, taps] of [
      [0.1, 1],
      [1, 7],
      [4, 21],
      [64, 321],
    ] as const) {
      const kernel = gaussianKernel(sigma);
      expect(kernel.length).toBe(taps);
      expect(kernel.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    }
  });

  it('is the Gaussian of the definition along either axis', () => {
    fc.assert(
      fc.property(masks, sigmas, (mask, sigma) => {
        // A half may be rounded either way: the two sum up in another order.
        const near = (a: NativeImage, b: NativeImage): void => {
          for (const [i, value] of a.data.entries())
            expect(Math.abs(value - (b.data[i] ?? NaN))).toBeLessThanOrEqual(1);
        };
        near(blurMask(mask, { x: sigma, y: 0 }), blurredRows(mask, sigma));
        expect(blurMask(mask, { x: 0, y: sigma })).toEqual(transposed(blurMask(transposed(mask), { x: sigma, y: 0 })));
      }),
    );
  });

  it('spreads one pixel as its kernel, leaves flat masks and a blur of 0 alone', () => {
    const dot = grey(21, 1, (x) => (x === 10 ? 255 : 0));
    expect([...blurMask(dot, { x: 2, y: 0 }).data.subarray(5, 16)]).toEqual(
      [...gaussianKernel(2)].map((weight) => Math.round(255 * weight)),
    );
    expect(blurMask(dot, { x: 0, y: 0 })).toEqual(dot);
    for (const level of [0, 255]) {
      const flat = grey(5, 4, () => level);
      expect(blurMask(flat, { x: 3, y: 9 })).toEqual(flat);
    }
  });
});

describe('fillMasked', () => {
  it('keeps every byte that the mask leaves, and needs no more than one colour to fill', async () => {
    const image = rgb(24, 20, (x, y) => [(x * 37 + y * 11) % 256, (x * y) % 256, 255 - x]);
    const mask = grey(24, 20, (x, y) => (x > 6 && x < 15 && y > 4 && y < 12 ? 255 : 0));
    const filled = await fillMasked(image, mask);
    for (const [i, value] of filled.data.entries())
      if (mask.data[Math.floor(i / 3)] === 0) expect(value).toBe(image.data[i]);
    expect(filled.data).not.toEqual(image.data);
    const flat = rgb(24, 20, () => [10, 200, 30]);
    expect(await fillMasked(flat, mask)).toEqual(flat);
  });

  it('takes the colours of the nearest side', async () => {
    const image = rgb(60, 12, (x) => (x < 30 ? [240, 0, 0] : [0, 0, 240]));
    const mask = grey(60, 12, (x) => (x >= 20 && x < 40 ? 255 : 0));
    const { data } = await fillMasked(image, mask);
    const at = (x: number): number[] => [...data.subarray(3 * (6 * 60 + x), 3 * (6 * 60 + x) + 3)];
    expect(at(21)[0]).toBeGreaterThan(at(21)[2] ?? NaN);
    expect(at(38)[2]).toBeGreaterThan(at(38)[0] ?? NaN);
    // Nothing of what was hidden shows: other pixels below the mask, the same picture.
    const other = rgb(60, 12, (x) => (x >= 20 && x < 40 ? [7, 7, 7] : x < 30 ? [240, 0, 0] : [0, 0, 240]));
    expect((await fillMasked(other, mask)).data).toEqual(data);
  });

  it('is black where nothing is left to take colours from', async () => {
    const image = rgb(8, 8, () => [9, 9, 9]);
    expect(
      (
        await fillMasked(
          image,
          grey(8, 8, () => 255),
        )
      ).data.every((value) => value === 0),
    ).toBe(true);
  });

  it('lets other work in between and stops on an abort', async () => {
    const reason = new Error('stop');
    const image = rgb(8, 8, () => [9, 9, 9]);
    await expect(
      fillMasked(
        image,
        grey(8, 8, () => 255),
        AbortSignal.abort(reason),
      ),
    ).rejects.toBe(reason);
  });
});

describe('boxGaussian', () => {
  it.each([2, 4, 16])('has the variance and the sum of a Gaussian of sigma %d', (sigma) => {
    const width = 161;
    const plane = new Float32Array(width);
    plane[80] = 1;
    const blurred = boxGaussian(plane, width, 1, sigma);
    let [sum, variance] = [0, 0];
    for (const [i, value] of blurred.entries()) {
      sum += value;
      variance += value * (i - 80) ** 2;
    }
    expect(sum).toBeCloseTo(1, 4);
    expect(Math.sqrt(variance)).toBeCloseTo(sigma, 2);
  });
});

describe('pasteBack', () => {
  const image = rgb(6, 5, (x, y) => [x, y, 100]);
  const painted = rgb(6, 5, () => [201, 202, 203]);

  it('mixes by the mask; 0 and 255 keep bytes exactly', async () => {
    const mask = grey(6, 5, (x) => [0, 255, 51, 0, 0, 0][x] ?? NaN);
    const { data } = await pasteBack(painted, { image, mask, region: null });
    const row = [...data.subarray(0, 12)];
    expect(row.slice(0, 3)).toEqual([0, 0, 100]);
    expect(row.slice(3, 6)).toEqual([201, 202, 203]);
    // A fifth of the painted, four fifths of the original.
    expect(row.slice(6, 9)).toEqual([Math.round(201 / 5 + 8 / 5), Math.round(202 / 5), Math.round(203 / 5 + 80)]);
  });

  it('puts a part in its place and gives the whole, without a change of its inputs', async () => {
    const part = rgb(2, 3, () => [1, 2, 3]);
    const region = { left: 3, top: 1, right: 5, bottom: 4 };
    const before = image.data.slice();
    const result = await pasteBack(part, { image, mask: grey(6, 5, () => 255), region: region });
    expect([result.width, result.height]).toEqual([6, 5]);
    for (let y = 0; y < 5; y++)
      for (let x = 0; x < 6; x++) {
        const inside = x >= 3 && x < 5 && y >= 1 && y < 4;
        const i = 3 * (6 * y + x);
        expect([...result.data.subarray(i, i + 3)]).toEqual(inside ? [1, 2, 3] : [x, y, 100]);
      }
    expect(image.data).toEqual(before);
  });

  it('without an overlay is the picture itself', async () => {
    expect(await pasteBack(painted, null)).toBe(painted);
  });

  it('a doubled mask is whole from 128 on', () => {
    expect([...doubled(grey(4, 1, (x) => [0, 3, 127, 128][x] ?? NaN)).data]).toEqual([0, 6, 254, 255]);
  });
});
