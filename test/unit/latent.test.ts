import { copyFileSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeLatent, encodeImage, encodePrompt } from '../../lib/pipeline/encoding.js';
import { Latent } from '../../lib/pipeline/latent.js';
import { sampleLatent, sigmasOf } from '../../lib/pipeline/sampleLatent.js';
import { type LatentSpace, sameSpace, spaceFamily, spaceSource } from '../../lib/pipeline/space.js';
import { fakeSigmas, picture } from '../support/fakeAddon.js';
import { fakePipeline, space, tinyCheckpoint } from '../support/fakeModel.js';

const ramp = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => i);

describe('Latent', () => {
  it('goes to and from Float32Array, as copies', () => {
    const numbers = ramp(4 * 2 * 3);
    const latent = Latent.from(numbers, [1, 4, 2, 3], space);
    numbers[0] = 99;
    const out = latent.toFloat32Array();
    expect([...out]).toEqual([...ramp(24)]);
    out[1] = 99;
    expect(latent.toFloat32Array()[1]).toBe(1);
    expect(latent).toMatchObject({ shape: [1, 4, 2, 3], width: 24, height: 16, batch: 1, space });
  });

  it.each([
    [ramp(23), [1, 4, 2, 3], 'data'],
    [ramp(24), [4, 2, 3], 'shape'],
    [ramp(24), [1, 3, 2, 4], 'shape[1]'],
    [ramp(24), [1, 4, 2, 3.5], 'shape'],
    [ramp(24), [0, 4, 2, 3], 'shape'],
    [Float32Array.of(...ramp(23), NaN), [1, 4, 2, 3], 'data[23]'],
  ])('checks %#', (data, shape, field) => {
    expect(() => Latent.from(data, shape, space)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTION', field }) as Error,
    );
  });

  it('takes batches apart and together', () => {
    const latent = Latent.from(ramp(3 * 4), [3, 4, 1, 1], space);
    expect([...latent.at(1).toFloat32Array()]).toEqual([4, 5, 6, 7]);
    expect(() => latent.at(3)).toThrow(/0 to 2/);
    const again = Latent.concat([latent.at(0), latent.at(1), latent.at(2)]);
    expect(again.shape).toEqual(latent.shape);
    expect(again.toFloat32Array()).toEqual(latent.toFloat32Array());
    expect(() => Latent.concat([latent, Latent.zeros(16, 8, space)])).toThrow(/size/);
  });
});

describe('latent spaces', () => {
  it('have a family by architecture', () => {
    const names = [
      'SD 1.x',
      'SD 2.x Inpaint',
      'SDXL (Vega)',
      'SD3.x',
      'Flux',
      'Flux.2 klein',
      'Z-Image',
      'Qwen Image',
      'Wan 2.2 TI2V',
      'Wan 2.x',
    ];
    expect(names.map(spaceFamily)).toEqual([
      'sd',
      'sd',
      'sdxl',
      'sd3',
      'flux',
      'flux2',
      'flux',
      'wan',
      'wan2.2',
      'wan',
    ]);
  });

  it('are the same for the same bytes under two names, and different for different bytes', async () => {
    const [one, two] = [tinyCheckpoint(1), tinyCheckpoint(2)];
    const copy = `${one}.copy`;
    copyFileSync(one, copy);
    const of = async (path: string, family = 'sd'): Promise<LatentSpace> => ({
      family,
      channels: 4,
      scaleFactor: 8,
      source: await spaceSource(path),
    });
    expect(await sameSpace(await of(one), await of(copy))).toBe(true);
    expect(await sameSpace(await of(one), await of(two))).toBe(false);
    expect(await sameSpace(await of(one), await of(one, 'sdxl'))).toBe(false);
    const before = await of(one);
    expect(await sameSpace(before, await of(one))).toBe(true);
    writeFileSync(one, 'other weights');
    utimesSync(one, new Date(0), new Date(0));
    expect(await sameSpace(before, await of(one))).toBe(false);
  });
});

describe('operations on latents', () => {
  it('encode, sample and decode', async () => {
    const { fake, model } = fakePipeline();
    const start = await encodeImage(model, { image: picture(70, 64, 1), seed: 4 });
    expect(start.shape).toEqual([1, 4, 8, 8]);
    expect(fake.of('encodeImages')[0]?.params).toMatchObject({ seed: 4, tiling: { enabled: false } });
    const conditioning = await encodePrompt(model, { prompt: '' });
    const mask = new Float32Array(64).fill(1);
    const sampled = await sampleLatent(model, {
      conditioning,
      latent: Latent.concat([start, start]),
      mask,
      seed: 7,
      steps: 4,
      denoisingStrength: 0.5,
    });
    expect(sampled.batch).toBe(2);
    const calls = fake.of('sample').map(({ params }) => params);
    expect(calls.map(({ seed }) => seed)).toEqual([7, 8]);
    expect([...(calls[0]?.sigmas ?? [])]).toEqual([3, 2, 1, 0]);
    expect(calls[0]?.mask).toEqual({ shape: [1, 1, 8, 8], data: mask });
    const images = await decodeLatent(model, { latent: sampled, tiling: { tileSize: 16 } });
    expect(images.map(({ data, width }) => [data[0], width])).toEqual([
      [7, 64],
      [8, 64],
    ]);
    expect(fake.of('decodeLatent')[0]?.params.tiling).toEqual({
      enabled: true,
      tileSizeX: 16,
      tileSizeY: 16,
      overlap: 0.5,
    });
  });

  it('check shapes before anything native runs', async () => {
    const { fake, model } = fakePipeline();
    const conditioning = await encodePrompt(model, { prompt: '' });
    const latent = Latent.zeros(64, 64, space);
    const wrong = (change: object, field: string) =>
      expect(sampleLatent(model, { conditioning, latent, ...change })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        field,
      });
    await wrong({ width: 128 }, 'width');
    await wrong({ mask: new Float32Array(3) }, 'mask');
    await wrong({ mask: new Float32Array(64).fill(2) }, 'mask[0]');
    await wrong({ noise: Latent.zeros(128, 64, space) }, 'noise');
    await wrong({ latent: Latent.zeros(72, 64, space) }, 'latent');
    await wrong({ latent: Latent.zeros(64, 64, { ...space, family: 'sdxl' }) }, 'latent');
    await wrong({ conditioning: {} }, 'conditioning');
    await wrong({ stepss: 3 }, 'stepss');
    expect(fake.of('sample')).toHaveLength(0);
  });

  it('take the channels that a model reads beside the latent', async () => {
    const { fake, model } = fakePipeline({
      facts: { architecture: 'SD 1.x Inpaint', isInpaint: true, concatChannels: 5 },
    });
    const conditioning = await encodePrompt(model, { prompt: '' });
    const latent = Latent.zeros(64, 128, space, 2);
    const shape = [1, 5, 16, 8];
    const concat = Float32Array.from({ length: 5 * 16 * 8 }, (_, i) => i);
    const plain = [...new Float32Array(16 * 8).fill(1), ...new Float32Array(4 * 16 * 8)];
    for (const given of [{}, { concat }, { uncondConcat: [...concat] }, { concat, uncondConcat: concat }]) {
      await sampleLatent(model, { conditioning, latent, steps: 1, ...given });
      // The same for every image of the batch.
      for (const { params } of fake.of('sample').slice(-2)) {
        expect(params.concat?.shape).toEqual(shape);
        expect(params.uncondConcat?.shape).toEqual(shape);
        expect([...(params.concat?.data ?? [])]).toEqual('concat' in given ? [...concat] : plain);
        expect([...(params.uncondConcat?.data ?? [])]).toEqual('uncondConcat' in given ? [...concat] : plain);
      }
    }
    expect(fake.of('sample')).toHaveLength(8);
  });

  it('refuse such channels of a wrong size, of no number, or for a model that reads none', async () => {
    const reads = fakePipeline({ facts: { architecture: 'SD 1.x Inpaint', isInpaint: true, concatChannels: 5 } });
    const without = fakePipeline();
    for (const { fake, model } of [reads, without]) {
      const conditioning = await encodePrompt(model, { prompt: '' });
      const wrong = (change: object, field: string, message: RegExp) =>
        expect(sampleLatent(model, { conditioning, width: 64, height: 64, ...change })).rejects.toMatchObject({
          code: 'ERR_INVALID_OPTION',
          field,
          message: expect.stringMatching(message) as unknown,
        });
      for (const field of ['concat', 'uncondConcat']) {
        const numbers = new Float32Array(4 * 64);
        const message = model === reads.model ? /256 numbers.*320 numbers: 5 channels x 8 x 8/s : /"SD 1\.x"/;
        await wrong({ [field]: numbers }, field, message);
        await wrong({ [field]: [...numbers.fill(0, 1), NaN] }, `${field}[256]`, /finite/);
        await wrong({ [field]: 'x' }, field, /Float32Array/);
      }
      expect(fake.of('sample')).toHaveLength(0);
    }
  });

  it('tell the noise levels', async () => {
    const { fake, model } = fakePipeline();
    expect(await sigmasOf(model, { steps: 5, schedule: 'Karras', width: 64 })).toEqual(fakeSigmas(5));
    expect(fake.of('sigmas')[0]?.params).toMatchObject({
      steps: 5,
      schedule: 'karras',
      sampler: 'euler_a',
      width: 64,
      height: 512,
    });
  });
});
