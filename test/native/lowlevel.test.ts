import { describe, expect, it } from 'vitest';
import { Latent, type Conditioning } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { philoxNormals } from '../support/philox.js';
import { edge, failure, hashes, only, paint, sha256, tiny, useModel } from '../support/native.js';

const fixture = useModel();
const { prompt, width, height, ...sampling } = { ...tiny, cfgScale: 3 };
const cells = (): number => edge / fixture.model.info.scaleFactor;

const encode = (negativePrompt: string | null = ''): Promise<Conditioning> =>
  fixture.model.encodePrompt({ prompt, negativePrompt });

async function decoded(latent: Latent, tiling: boolean | { tileSize: number } = false): Promise<Uint8Array> {
  const [image] = await fixture.model.decodeLatent({ latent, tiling });
  if (image === undefined) throw new Error('nothing was decoded');
  return image.data;
}

describe('the pieces make the whole', () => {
  it('encodePrompt, sample, decodeLatent are txt2img, byte for byte', async () => {
    using conditioning = await encode();
    const latent = await fixture.model.sample({ ...sampling, conditioning, width, height });
    expect(latent.shape).toEqual([1, fixture.model.info.latentChannels, cells(), cells()]);
    const whole = await fixture.model.txt2img({ ...sampling, prompt, width, height });
    expect([sha256(await decoded(latent))]).toEqual(hashes(whole));
  });

  it('with encodeImage they are img2img', async () => {
    const image = paint((x, y) => [4 * x, 4 * y, 128]);
    const denoisingStrength = 0.6;
    using conditioning = await encode();
    const start = await fixture.model.encodeImage({ image, seed: sampling.seed });
    const latent = await fixture.model.sample({ ...sampling, conditioning, latent: start, denoisingStrength });
    const whole = await fixture.model.img2img({ ...sampling, prompt, image, denoisingStrength });
    expect([sha256(await decoded(latent))]).toEqual(hashes(whole));
  });

  it('a batch of latents is the batch of txt2img', async () => {
    using conditioning = await encode();
    const latent = Latent.zeros(width, height, fixture.model.latentSpace, 2);
    const batch = await fixture.model.sample({ ...sampling, conditioning, latent });
    expect(batch.batch).toBe(2);
    const images = await fixture.model.decodeLatent({ latent: batch });
    const whole = await fixture.model.txt2img({ ...sampling, prompt, width, height, batchSize: 2 });
    expect(hashes({ images })).toEqual(hashes(whole));
  });

  it('own sigmas are those of the schedule they were taken from', async () => {
    const { schedule, steps, ...rest } = sampling;
    using conditioning = await encode();
    const sigmas = await fixture.model.sigmas({ schedule, steps, sampler: sampling.sampler });
    const own = await fixture.model.sample({ ...rest, sigmas, conditioning, width, height });
    const named = await fixture.model.sample({ ...sampling, conditioning, width, height });
    expect(own.toFloat32Array()).toEqual(named.toFloat32Array());
  });
});

describe('noise', () => {
  it('given is used: the same numbers give the same latent, whatever the seed', async () => {
    using conditioning = await encode(null);
    const shape = [1, fixture.model.info.latentChannels, cells(), cells()];
    const count = shape.reduce((a, b) => a * b, 1);
    const numbers = Float32Array.from({ length: count }, (_, i) => Math.sqrt(2) * Math.sin(1 + i * i));
    const noise = Latent.from(numbers, shape, fixture.model.latentSpace);
    const request = { ...sampling, cfgScale: 1, conditioning, noise, width, height };
    const first = await fixture.model.sample({ ...request, seed: 1 });
    const second = await fixture.model.sample({ ...request, seed: 2 });
    expect(second.toFloat32Array()).toEqual(first.toFloat32Array());
  });

  it('of the generator cuda for a seed, made by its formula, gives what the seed gives', async () => {
    using conditioning = await encode(null);
    const shape = [1, fixture.model.info.latentChannels, cells(), cells()];
    const count = shape.reduce((a, b) => a * b, 1);
    const request = { ...sampling, cfgScale: 1, conditioning, width, height };
    for (const seed of [3, 2 ** 40 + 5]) {
      const noise = Latent.from(philoxNormals(seed, count), shape, fixture.model.latentSpace);
      // Another seed beside the noise: only the noise may count.
      const given = await fixture.model.sample({ ...request, noise, seed: seed + 1 });
      const drawn = await fixture.model.sample({ ...request, seed });
      const expected = drawn.toFloat32Array();
      const worst = given
        .toFloat32Array()
        .reduce((most, v, i) => Math.max(most, Math.abs(v - (expected[i] ?? NaN))), 0);
      // The engine computes logarithm and sine in f32.
      expect(worst).toBeLessThan(0.01);
    }
  });

  it('is scaled by the first sigma and added to the start latent', async () => {
    // x = latent + sigma * noise: half a sigma in the latent is the same start as 0.5 more noise.
    using conditioning = await encode(null);
    const [sigma = NaN] = await fixture.model.sigmas({ steps: 1, schedule: sampling.schedule, sampler: 'euler' });
    const shape = [1, fixture.model.info.latentChannels, cells(), cells()];
    const space = fixture.model.latentSpace;
    const normals = philoxNormals(
      11,
      shape.reduce((a, b) => a * b, 1),
    );
    const request = { ...sampling, cfgScale: 1, steps: 1, conditioning };
    const inNoise = await fixture.model.sample({
      ...request,
      latent: Latent.zeros(width, height, space),
      noise: Latent.from(
        normals.map((value) => value + 0.5),
        shape,
        space,
      ),
    });
    const inLatent = await fixture.model.sample({
      ...request,
      latent: Latent.from(new Float32Array(normals.length).fill(0.5 * sigma), shape, space),
      noise: Latent.from(normals, shape, space),
    });
    const [a, b] = [inNoise.toFloat32Array(), inLatent.toFloat32Array()];
    const worst = a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
    expect(worst).toBeLessThan(0.02);
  });
});

describe('latents as numbers', () => {
  it('survive the way to a Float32Array and back', async () => {
    using conditioning = await encode();
    const latent = await fixture.model.sample({ ...sampling, conditioning, width, height });
    const numbers = latent.toFloat32Array();
    const copy = Latent.from(numbers, latent.shape, fixture.model.latentSpace);
    numbers.fill(0);
    expect(copy.toFloat32Array()).toEqual(latent.toFloat32Array());
    expect(sha256(await decoded(copy))).toBe(sha256(await decoded(latent)));
  });

  it('of another space are refused', async () => {
    using conditioning = await encode();
    const { family, channels, scaleFactor, source } = fixture.model.latentSpace;
    const foreign = Latent.zeros(width, height, { family: `not-${family}`, channels, scaleFactor, source });
    for (const job of [
      fixture.model.decodeLatent({ latent: foreign }),
      fixture.model.sample({ ...sampling, conditioning, latent: foreign }),
    ]) {
      expect(await failure(job)).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'latent' });
    }
  });

  it('of a space whose files were claimed to be other ones are compared by content', async () => {
    const { family, channels, scaleFactor, source } = fixture.model.latentSpace;
    const path = fixture.model.info.files.checkpoint ?? '';
    const other = Latent.zeros(width, height, { family, channels, scaleFactor, source: { ...source, path } });
    expect(await failure(fixture.model.decodeLatent({ latent: other }))).toMatchObject({ field: 'latent' });
  });

  it('of a size that the model cannot draw are refused', async () => {
    using conditioning = await encode();
    const { sizeMultiple } = fixture.model.info;
    const latent = Latent.zeros(sizeMultiple + 8, sizeMultiple, fixture.model.latentSpace);
    const error = await failure(fixture.model.sample({ ...sampling, conditioning, latent }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'latent' });
    expect(error.message).toContain(String(sizeMultiple));
  });
});

describe('tiled decoding', () => {
  it('differs little, and tells its tiles', async () => {
    const [wide, tall] = [4 * edge, 2 * edge];
    const latent = await fixture.model.encodeImage({
      image: paint((x, y) => [x, 255 - x, (x + y) / 2], wide),
      height: tall,
    });
    const phases = new Set<string>();
    const [image] = await fixture.model.decodeLatent({
      latent,
      tiling: { tileSize: 16 },
      onProgress: ({ phase }) => void phases.add(phase),
    });
    if (image === undefined) throw new Error('nothing was decoded');
    expect([image.width, image.height]).toEqual([wide, tall]);
    expect(phases).toContain('tile');
    const whole = await decoded(latent);
    expect(psnr(image.data, whole)).toBeGreaterThan(30);
    expect(sha256(image.data)).not.toBe(sha256(whole));
  });

  it('of one tile is the whole', async () => {
    const latent = await fixture.model.encodeImage({ image: paint((x, y) => [x * 4, y * 4, 0]) });
    expect(psnr(await decoded(latent, { tileSize: cells() }), await decoded(latent))).toBeGreaterThan(60);
  });
});

describe('a conditioning', () => {
  it('without a negative part serves cfgScale 1 only', async () => {
    using conditioning = await encode(null);
    expect(conditioning.hasNegative).toBe(false);
    const error = await failure(fixture.model.sample({ ...sampling, conditioning, width, height }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'cfgScale' });
  });

  it("has the shape of its text encoder: 77 tokens of SD1's width", async () => {
    using conditioning = await encode();
    expect(conditioning.shape.slice(-2)).toEqual([77, 768]);
    expect(conditioning.bytes).toBe(2 * 77 * 768 * Float32Array.BYTES_PER_ELEMENT);
    using long = await fixture.model.encodePrompt({ prompt: 'an apple, '.repeat(60), negativePrompt: null });
    expect((long.shape.at(-2) ?? 0) % 77).toBe(0);
    expect(long.shape.at(-2)).toBeGreaterThan(77);
  });

  it('disposed of is refused; one in use is kept until the job ends', async () => {
    const conditioning = await encode();
    const job = fixture.model.sample({ ...sampling, conditioning, width, height });
    await new Promise((resolve) => setImmediate(resolve));
    conditioning.dispose();
    const kept = await job;
    const error = await failure(fixture.model.sample({ ...sampling, conditioning, width, height }));
    expect(error).toMatchObject({ code: 'ERR_DISPOSED', field: 'conditioning' });
    using again = await encode();
    const repeated = await fixture.model.sample({ ...sampling, conditioning: again, width, height });
    expect(repeated.toFloat32Array()).toEqual(kept.toFloat32Array());
  });

  it('of another model is refused', async () => {
    await using other = await fixture.runtime.loadModel({ mmap: true });
    using conditioning = await other.encodePrompt({ prompt });
    const error = await failure(fixture.model.sample({ ...sampling, conditioning, width, height }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'conditioning' });
  });
});

describe('encodeImage', () => {
  it('decodes to about the picture', async () => {
    const image = paint((x, y) => [2 * x + 60, 2 * y + 60, 128]);
    const latent = await fixture.model.encodeImage({ image });
    expect(psnr(await decoded(latent), image.data)).toBeGreaterThan(15);
  });

  it('scales to the size asked for', async () => {
    const latent = await fixture.model.encodeImage({ image: paint(() => [9, 9, 9], 100), width: 128, height: 64 });
    expect([latent.width, latent.height]).toEqual([128, 64]);
  });

  it('gives one latent whose picture is the same twice', async () => {
    const image = paint((x) => [x * 4, 0, 0]);
    const [a, b] = [await fixture.model.encodeImage({ image }), await fixture.model.encodeImage({ image })];
    expect(a.toFloat32Array()).toEqual(b.toFloat32Array());
    expect(only({ images: await fixture.model.decodeLatent({ latent: a }) }).seed).toBe(-1);
  });
});
