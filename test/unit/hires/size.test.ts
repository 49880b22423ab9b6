import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hiresSize, type HiresSizeOptions, upscaleLatent } from '../../../lib/pipeline/hires/index.js';

const unet = { sizeMultiple: 64, scaleFactor: 8 };
const plain = { cropX: 0, cropY: 0, enlarges: true };
const at = (width: number, height: number) => ({ width, height });
const fault = (field: string) => expect.objectContaining({ code: 'ERR_INVALID_OPTION', field });

describe('size of a second pass', () => {
  it.each<[string, [number, number], HiresSizeOptions, object]>([
    ['is twice the first by default', [512, 768], {}, { width: 1024, height: 1536, ...plain }],
    ['grows by the scale', [512, 512], { scale: 1.5 }, { width: 768, height: 768, ...plain }],
    ['takes the scale as people mean it', [640, 640], { scale: 1.1 }, { width: 704, height: 704, ...plain }],
    ['keeps the shape for a width', [512, 768], { width: 1024 }, { width: 1024, height: 1536, ...plain }],
    ['keeps the shape for a height', [512, 768], { height: 960 }, { width: 640, height: 960, ...plain }],
  ])('%s', (_, [width, height], options, wanted) => {
    const size = hiresSize(at(width, height), options, unet);
    expect(size).toMatchObject(wanted);
    expect([size.upscaledWidth, size.upscaledHeight]).toEqual([size.width, size.height]);
    expect(Object.isFrozen(size)).toBe(true);
  });

  it('covers the target and cuts off the middle, the odd cell on the far side', () => {
    // Scaled by 2: 1024 x 1536, of which 1536 - 1152 = 384 pixels, 48 cells, are cut off above and below.
    expect(hiresSize(at(512, 768), { width: 1024, height: 1152 }, unet)).toEqual({
      ...{ width: 1024, height: 1152, upscaledWidth: 1024, upscaledHeight: 1536 },
      ...{ cropX: 0, cropY: 192, enlarges: true },
    });
    // 960 * 512 // 704 = 698, 58 pixels too many: 7 whole cells, 3 of them on the left.
    expect(hiresSize(at(512, 704), { width: 640, height: 960 }, unet)).toEqual({
      ...{ width: 640, height: 960, upscaledWidth: 698, upscaledHeight: 960 },
      ...{ cropX: 24, cropY: 0, enlarges: true },
    });
  });

  it('rounds edges that follow down to the multiple and cuts rather than stretches', () => {
    // 1.3 times 512 x 704 is 665 x 915.
    expect(hiresSize(at(512, 704), { scale: 1.3 }, unet)).toEqual({
      ...{ width: 640, height: 896, upscaledWidth: 651, upscaledHeight: 896 },
      ...{ cropX: 0, cropY: 0, enlarges: true },
    });
    expect(hiresSize(at(512, 704), { scale: 1.3 }, { sizeMultiple: 8, scaleFactor: 8 })).toMatchObject(at(664, 912));
    expect(hiresSize(at(512, 768), { width: 704 }, unet)).toEqual({
      ...{ width: 704, height: 1024, upscaledWidth: 704, upscaledHeight: 1056 },
      ...{ cropX: 0, cropY: 16, enlarges: true },
    });
  });

  it('may be that of the first', () => {
    expect(hiresSize(at(512, 768), { scale: 1 }, unet).enlarges).toBe(false);
    expect(hiresSize(at(512, 768), at(512, 768), unet).enlarges).toBe(false);
    expect(hiresSize(at(512, 768), at(576, 768), unet).enlarges).toBe(true);
  });

  it.each<[string, [number, number], HiresSizeOptions, string, RegExp]>([
    ['no multiple', [512, 512], { width: 1000 }, 'hires.width', /multiple of 64.*Use 960 or 1024/],
    ['no multiple', [512, 512], { width: 1024, height: 1000 }, 'hires.height', /multiple of 64/],
    ['a smaller width', [512, 512], { width: 448 }, 'hires.width', /at least 512 pixels/],
    ['a smaller height', [512, 768], { width: 1024, height: 512 }, 'hires.height', /at least 768 pixels/],
    ['a smaller scale', [512, 512], { scale: 0.5 }, 'hires.scale', /1 or more/],
    ['no number', [512, 512], { scale: NaN }, 'hires.scale', /1 or more/],
    ['a huge edge', [512, 512], { width: 16384 }, 'hires.width', /64 to 8192/],
    ['a huge scale', [512, 512], { scale: 17 }, 'hires.scale', /8704 x 8704 pixels, more than 8192/],
    ['an infinite scale', [512, 512], { scale: Infinity }, 'hires.scale', /finite/],
    ['an edge whose other is huge', [512, 1024], { width: 8192 }, 'hires.width', /8192 x 16384 pixels/],
    ['another shape', [64, 4096], { width: 4096, height: 4096 }, 'hires.width', /4096 x 262144 pixels/],
    ['a scale beside an edge', [512, 512], { scale: 2, width: 1024 }, 'hires.scale', /Leave one of them out/],
    ['too little for the multiple', [520, 520], { scale: 1.1 }, 'hires.scale', /512 x 512.*has 520 x 520/],
  ])('refuses %s: %j %j', (_, [width, height], options, field, message) => {
    expect(() => hiresSize(at(width, height), options, unet)).toThrow(fault(field));
    expect(() => hiresSize(at(width, height), options, unet)).toThrow(message);
  });

  const facts = fc.constantFrom(unet, ...[8, 16, 32].map((sizeMultiple) => ({ sizeMultiple, scaleFactor: 8 })), {
    ...{ sizeMultiple: 16, scaleFactor: 16 },
  });
  const edge = fc.integer({ min: 1, max: 16 });
  const more = fc.integer({ min: 0, max: 16 });

  it('covers its target closely and keeps its middle, whatever is asked for', () => {
    fc.assert(
      fc.property(facts, edge, edge, more, more, (model, w, h, moreW, moreH) => {
        const multiple = model.sizeMultiple;
        const first = at(w * multiple, h * multiple);
        const wanted = at((w + moreW) * multiple, (h + moreH) * multiple);
        // Far from the first pass's shape the cover would be refused, see above.
        fc.pre(Math.max((wanted.width * h) / w, (wanted.height * w) / h) <= 16384);
        const size = hiresSize(first, wanted, model);
        expect(size).toMatchObject(wanted);
        for (const [upscaled, kept, crop] of [
          [size.upscaledWidth, size.width, size.cropX],
          [size.upscaledHeight, size.height, size.cropY],
        ] as const) {
          expect(upscaled).toBeGreaterThanOrEqual(kept);
          const [before, after] = [crop, upscaled - kept - crop];
          expect(crop % model.scaleFactor).toBe(0);
          expect(after).toBeGreaterThanOrEqual(before);
          // At most one cell more, and what is less than a cell.
          expect(after - before).toBeLessThan(2 * model.scaleFactor);
        }
        // One edge is the target's, the other in proportion; rounding can make both edges the target's.
        expect([
          [wanted.width, Math.floor((wanted.width * first.height) / first.width)],
          [Math.floor((wanted.height * first.width) / first.height), wanted.height],
        ]).toContainEqual([size.upscaledWidth, size.upscaledHeight]);
      }),
    );
  });

  it('never cuts off more of a scaled picture than its multiple asks for', () => {
    fc.assert(
      fc.property(facts, edge, edge, fc.double({ min: 1, max: 8, noNaN: true }), (model, w, h, scale) => {
        const multiple = model.sizeMultiple;
        const first = at(w * multiple, h * multiple);
        const size = hiresSize(first, { scale }, model);
        for (const side of ['width', 'height'] as const) {
          expect(size[side] % multiple).toBe(0);
          expect(size[side]).toBeGreaterThanOrEqual(first[side]);
          expect(first[side] * scale - size[side]).toBeLessThan(multiple);
        }
        expect(size.upscaledWidth).toBeLessThanOrEqual(first.width * scale + 1);
        expect(size.upscaledHeight).toBeLessThanOrEqual(first.height * scale + 1);
      }),
    );
  });
});

it('a latent is enlarged and cut to the cells of the second pass', () => {
  const size = hiresSize(at(128, 192), { width: 192, height: 192 }, unet);
  expect(size).toMatchObject({ upscaledWidth: 192, upscaledHeight: 288, cropX: 0, cropY: 48 });
  const data = Float32Array.from({ length: 2 * 24 * 16 }, (_, i) => i);
  const made = upscaleLatent({ shape: [1, 2, 24, 16], data }, size, { filter: 'nearest', antialias: false }, 8);
  expect(made.shape).toEqual([1, 2, 24, 24]);
  // Row 0 is row 6 of the 36 enlarged ones, which is row 4 of 24; the second channel begins at 384.
  expect([...made.data.subarray(0, 4)]).toEqual([64, 64, 65, 66]);
  expect(made.data[24 * 24]).toBe(384 + 64);
  expect(made.data.at(-1)).toBe(384 + 19 * 16 + 15);
});
