import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NativeTensor } from '../../lib/native/contract.js';
import { runMode } from '../../lib/pipeline/modes.js';
import { resolveVariation, slerp } from '../../lib/pipeline/variation.js';
import { fakeNoise } from '../support/fakeAddon.js';
import { fakeFacts, fakePipeline } from '../support/fakeModel.js';

const tensor = (data: readonly number[], height: number, width: number): NativeTensor => ({
  shape: [1, data.length / (height * width), height, width],
  data: Float32Array.from(data),
});

describe('slerp', () => {
  it('goes along the arc between two columns, each for itself', () => {
    // Two channels of two rows and two columns; a quarter circle in each of the first channel's columns.
    const low = tensor([3, 0, 0, 2, 1, 1, 1, 1], 2, 2);
    const high = tensor([0, 2, 3, 0, 1, 1, 1, 1], 2, 2);
    const half = Math.SQRT1_2;
    const expected = [3 * half, 2 * half, 3 * half, 2 * half, 1, 1, 1, 1];
    for (const [i, value] of slerp(low, high, 0.5).data.entries()) expect(value).toBeCloseTo(expected[i] ?? NaN, 6);
    // A third of the quarter circle: 30 degrees.
    const third = slerp(low, high, 1 / 3).data;
    expect(third[0]).toBeCloseTo(3 * Math.cos(Math.PI / 6), 6);
    expect(third[2]).toBeCloseTo(3 * Math.sin(Math.PI / 6), 6);
  });

  const columns = fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: 24, maxLength: 24 });

  it('begins at the one and ends at the other, and is the same from either end', () => {
    fc.assert(
      fc.property(columns, columns, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, strength) => {
        const [low, high] = [tensor(a, 4, 3), tensor(b, 4, 3)];
        const [there, back] = [slerp(low, high, strength), slerp(high, low, 1 - strength)];
        for (let i = 0; i < 24; i++) {
          expect(slerp(low, high, 0).data[i]).toBeCloseTo(low.data[i] ?? NaN, 4);
          expect(slerp(low, high, 1).data[i]).toBeCloseTo(high.data[i] ?? NaN, 4);
          expect(Number.isFinite(there.data[i])).toBe(true);
          expect(Math.abs((there.data[i] ?? NaN) - (back.data[i] ?? NaN))).toBeLessThan(
            1e-3 * (1 + Math.abs(there.data[i] ?? NaN)),
          );
        }
      }),
    );
  });

  it('of the same noise, or of one row, is a straight mixture', () => {
    const same = tensor([1, -2, 3, 0.5], 2, 2);
    for (const [i, value] of slerp(same, same, 0.3).data.entries()) expect(value).toBeCloseTo(same.data[i] ?? NaN, 6);
    const row = slerp(tensor([1, 2], 1, 2), tensor([3, -4], 1, 2), 0.25).data;
    expect([...row]).toEqual([1.5, 0.5]);
  });
});

describe('variation seeds', () => {
  it('have no effect at strength 0', () => {
    expect(resolveVariation({ variationSeed: 3, variationStrength: 0 }, 2)).toBeNull();
  });

  it('count up from the one given, or from a random one', () => {
    expect(resolveVariation({ variationSeed: 3, variationStrength: 0.5 }, 2)?.seeds).toEqual([3, 4]);
    expect(resolveVariation({ variationSeed: -1, variationStrength: 0.5 }, 2, () => 77)?.seeds).toEqual([77, 78]);
  });

  it('refuse a batch that leaves the safe integers, by their own name', () => {
    const given = { variationSeed: Number.MAX_SAFE_INTEGER, variationStrength: 0.5 };
    expect(() => resolveVariation(given, 2)).toThrow(expect.objectContaining({ field: 'variationSeed' }));
  });

  it('mix the noise of both seeds for every picture; the sampler gets the seed itself', async () => {
    const { fake, model } = fakePipeline();
    const given = { prompt: '', steps: 1, width: 64, height: 128, seed: 5, batchSize: 2 };
    const { images } = await runMode(model, 'txt2img', { ...given, variationSeed: 8, variationStrength: 0.25 });
    expect(fake.of('noise').map(({ params }) => params)).toEqual([
      { seed: 8, width: 8, height: 16 },
      { seed: 5, width: 8, height: 16 },
      { seed: 9, width: 8, height: 16 },
      { seed: 5, width: 8, height: 16 },
    ]);
    const noise = (seed: number) => fakeNoise(fakeFacts(), { seed, width: 8, height: 16 });
    const sampled = fake.of('sample').map(({ params }) => params);
    expect(sampled.map(({ seed }) => seed)).toEqual([5, 5]);
    expect(sampled[0]?.noise).toEqual(slerp(noise(5), noise(8), 0.25));
    expect(sampled[1]?.noise).toEqual(slerp(noise(5), noise(9), 0.25));
    expect(
      images.map(({ infotext }) => /Variation seed: (\d+), Variation seed strength: 0.25/.exec(infotext)?.[1]),
    ).toEqual(['8', '9']);
  });

  it('at strength 1 the noise is the other seed’s to the bit, at 0 none is drawn', async () => {
    const { fake, model } = fakePipeline();
    const given = { prompt: '', steps: 1, width: 64, height: 64, seed: 5, variationSeed: 8 };
    await runMode(model, 'txt2img', { ...given, variationStrength: 1 });
    await runMode(model, 'txt2img', { ...given, variationStrength: 0 });
    const [one, none] = fake.of('sample').map(({ params }) => params.noise);
    expect(one).toEqual(fakeNoise(fakeFacts(), { seed: 8, width: 8, height: 8 }));
    expect(none).toBeNull();
    expect(fake.of('noise')).toHaveLength(1);
  });

  it.each([
    [{ variationStrength: 1.5 }, 'variationStrength'],
    [{ variationStrength: -0.1 }, 'variationStrength'],
    [{ variationSeed: 0.5 }, 'variationSeed'],
    [{ variationSeed: -2 }, 'variationSeed'],
  ])('refuse %o', async (change, field) => {
    const { fake, model } = fakePipeline();
    await expect(runMode(model, 'txt2img', { prompt: '', ...change })).rejects.toMatchObject({ field });
    expect(fake.calls).toHaveLength(0);
  });
});
