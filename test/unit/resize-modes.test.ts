import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readImage } from '../../lib/image/index.js';
import { placement, resizeTo } from '../../lib/image/resizeModes.js';

const size = (width: number, height: number) => ({ width, height });

describe('placement', () => {
  // By hand from A1111's resize_image.
  it.each([
    ['stretch', size(100, 50), size(64, 64), { x: 0, y: 0, width: 64, height: 64 }],
    ['crop', size(100, 50), size(64, 64), { x: -32, y: 0, width: 128, height: 64 }],
    ['crop', size(50, 100), size(64, 64), { x: 0, y: -32, width: 64, height: 128 }],
    ['pad', size(100, 50), size(64, 64), { x: 0, y: 16, width: 64, height: 32 }],
    ['pad', size(50, 100), size(64, 64), { x: 16, y: 0, width: 32, height: 64 }],
    // 64 * 7 / 10 = 44.8 and 32 - 22 = 10.
    ['pad', size(10, 7), size(64, 64), { x: 0, y: 10, width: 64, height: 44 }],
    ['crop', size(64, 64), size(64, 64), { x: 0, y: 0, width: 64, height: 64 }],
    ['pad', size(1, 16384), size(64, 64), { x: 32, y: 0, width: 1, height: 64 }],
  ] as const)('%s %o to %o', (mode, own, wanted, expected) => {
    expect(placement(mode, own, wanted)).toEqual(expected);
  });

  it('crop covers, pad fits, both keep the shape to a pixel', () => {
    const side = fc.integer({ min: 1, max: 2000 });
    fc.assert(
      fc.property(side, side, side, side, (w, h, ww, wh) => {
        const crop = placement('crop', size(w, h), size(ww, wh));
        expect(crop.x <= 0 && crop.y <= 0).toBe(true);
        expect(crop.x + crop.width >= ww && crop.y + crop.height >= wh).toBe(true);
        expect(crop.width === ww || crop.height === wh).toBe(true);
        const pad = placement('pad', size(w, h), size(ww, wh));
        expect(pad.x >= 0 && pad.y >= 0 && pad.x + pad.width <= ww && pad.y + pad.height <= wh).toBe(true);
        // One side is the wanted one, the other in the picture's own shape, and at least a pixel.
        const [fixed, other, shape] =
          ww * h < wh * w ? [pad.width === ww, pad.height, (ww * h) / w] : [pad.height === wh, pad.width, (wh * w) / h];
        expect(fixed).toBe(true);
        expect(Math.abs(other - Math.max(1, shape))).toBeLessThan(1);
      }),
    );
  });
});

describe('resizeTo', () => {
  const data = Uint8Array.from({ length: 4 * 2 * 3 }, (_, i) => 10 * i);
  const image = { ...size(4, 2), channels: 3 as const, data };
  const pixel = ({ width, data: all }: typeof image, x: number, y: number): number[] => [
    ...all.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
  ];
  const options = { field: 'image' } as const;

  it('does not resample what fits already', async () => {
    const same = await resizeTo(image, { ...size(4, 2), ...options, mode: 'stretch' });
    expect(same.data).toEqual(data);
    const cropped = await resizeTo(image, { ...size(2, 2), ...options, mode: 'crop' });
    expect(cropped).toEqual({ ...size(2, 2), channels: 3, data: cropped.data });
    expect(pixel(cropped, 0, 1)).toEqual(pixel(image, 1, 1));
  });

  it('pads with the pixels of the edges', async () => {
    const padded = await resizeTo(image, { ...size(4, 5), ...options, mode: 'pad' });
    // 5 / 2 - 2 / 2 = 1 row above, 2 below.
    for (let x = 0; x < 4; x++) {
      expect([0, 1, 2, 3, 4].map((y) => pixel(padded, x, y))).toEqual([0, 0, 1, 1, 1].map((y) => pixel(image, x, y)));
    }
  });

  it('stretches as readImage does', async () => {
    const stretched = await resizeTo(image, { ...size(8, 8), ...options, mode: 'stretch' });
    expect(stretched).toEqual(await readImage(image, { resize: size(8, 8) }));
  });

  it('keeps the levels of a mask with nearest neighbour', async () => {
    const mask = { ...size(2, 1), channels: 1 as const, data: Uint8Array.from([0, 255]) };
    const wide = await resizeTo(mask, { ...size(8, 4), ...options, mode: 'stretch' });
    expect(new Set(wide.data)).toEqual(new Set([0, 255]));
    const soft = await resizeTo(mask, { ...size(8, 4), ...options, mode: 'stretch', kernel: 'lanczos3' });
    expect(new Set(soft.data).size).toBeGreaterThan(2);
  });
});
