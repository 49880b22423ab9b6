import { availableParallelism } from 'node:os';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createRuntime,
  type Conditioning,
  embeddedModelInfo,
  fileSha256,
  Latent,
  type Model,
  type RawImage,
  type Runtime,
} from '../../lib/index.js';
import { readPng } from '../support/sdcli/index.js';
import { psnr } from './psnr.js';
import { readArray, readReference, type ReferenceCase, referencePath } from './reference.js';

const { cases, minimumPsnr, weightsSha256 } = readReference();
let [runtime, loaded]: [Runtime?, Model?] = [];

beforeAll(async () => {
  runtime = await createRuntime({ backend: 'cpu', threads: Math.min(4, availableParallelism()) });
  loaded = await runtime.loadModel({ rng: 'cpu', mmap: true });
  return () => runtime?.dispose({ abort: true });
});

function model(): Model {
  if (loaded === undefined) throw new Error('The model was not loaded');
  return loaded;
}

/** What the low-level calls and the picture modes have in common. */
function request({ seed, steps, cfgScale, sampler, schedule }: ReferenceCase) {
  return { seed, steps, cfgScale, sampler, schedule };
}

async function expectPictureOfDiffusers(image: RawImage | undefined, { file }: ReferenceCase): Promise<void> {
  const reference = await readPng(referencePath(file));
  expect([image?.width, image?.height, image?.channels]).toEqual([reference.width, reference.height, 3]);
  expect(psnr(image?.data ?? new Uint8Array(), reference.data)).toBeGreaterThanOrEqual(minimumPsnr);
}

/** Root mean square of a - b over that of b. */
function relativeError(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  let [difference, size] = [0, 0];
  for (const [index, value] of b.entries()) {
    difference += ((a[index] ?? NaN) - value) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(difference / size);
}

// The engine multiplies with activations rounded to half precision (eleven bits), diffusers in single precision.
const half = 2 ** -11;

it('the weights are those of the reference', async () => {
  expect(await fileSha256((await embeddedModelInfo()).narrow.path)).toBe(weightsSha256);
});

describe('pictures of diffusers', () => {
  it.each(cases.filter(({ arrays }) => arrays === undefined))('$name', async (reference) => {
    const { prompt, negativePrompt, width, height, initImage, strength } = reference;
    const common = { ...request(reference), prompt, negativePrompt, width, height };
    const { images } =
      initImage === undefined
        ? await model().txt2img(common)
        : await model().img2img({ ...common, image: referencePath(initImage), denoisingStrength: strength });
    await expectPictureOfDiffusers(images[0], reference);
  });
});

describe.each(cases.filter(({ arrays }) => arrays !== undefined))('stages of diffusers: $name', (reference) => {
  const { prompt, negativePrompt, width, height, arrays, initImage, strength = 1 } = reference;
  if (arrays === undefined) throw new Error('filtered above');
  const size = { width, height };
  const latentOf = (values: Float32Array): Latent =>
    Latent.from(values, [1, 4, height / 8, width / 8], model().latentSpace);
  let [conditioning, start]: [Conditioning?, Latent?] = [];

  beforeAll(async () => {
    conditioning = await model().encodePrompt({ prompt, negativePrompt, ...size });
    start =
      initImage === undefined
        ? Latent.zeros(width, height, model().latentSpace)
        : await model().encodeImage({ image: referencePath(initImage), ...size });
    return () => conditioning?.dispose();
  });

  /** One Euler step from start + sigma * noise to 0 gives that less sigma * epsilon. */
  async function oneStep(noise?: Latent): Promise<Float32Array> {
    if (conditioning === undefined || start === undefined) throw new Error('The inputs were not encoded');
    const [sigma = NaN] = reference.sigmas;
    const { seed, sampler } = request(reference);
    const step = { seed, sampler, cfgScale: 1, sigmas: [sigma, 0], conditioning, latent: start };
    return (await model().sample({ ...step, ...(noise === undefined ? {} : { noise }) })).toFloat32Array();
  }

  it('noise levels', async () => {
    const { steps, sampler, schedule } = reference;
    const ours = (await model().sigmas({ steps, sampler, schedule, ...size })).slice(-reference.sigmas.length);
    expect(relativeError(ours, Float32Array.from(reference.sigmas))).toBeLessThan(1e-6);
    expect(reference.sigmas).toHaveLength(reference.evaluations + 1);
  });

  const { encoded } = arrays;
  if (encoded !== undefined) {
    it('the encoded picture', () => {
      expect(relativeError(start?.toFloat32Array() ?? new Float32Array(), readArray(encoded))).toBeLessThan(4 * half);
    });
  }

  it('the noise of the seed, and the first evaluation', async () => {
    const noise = readArray(arrays.noise);
    const [seeded, given] = [await oneStep(), await oneStep(latentOf(noise))];
    expect(relativeError(seeded, given)).toBeLessThan(half);
    const [sigma = NaN] = reference.sigmas;
    const from = start?.toFloat32Array() ?? new Float32Array();
    const epsilon = given.map((value, index) => ((from[index] ?? NaN) + sigma * (noise[index] ?? NaN) - value) / sigma);
    expect(relativeError(epsilon, readArray(arrays.epsilon))).toBeLessThan(4 * half);
  });

  it('the sampled latent and its picture', async () => {
    if (conditioning === undefined || start === undefined) throw new Error('The inputs were not encoded');
    const common = { ...request(reference), conditioning, latent: start, denoisingStrength: strength };
    const latent = await model().sample(common);
    expect(relativeError(latent.toFloat32Array(), readArray(arrays.latent))).toBeLessThan(8 * half);
    const [image] = await model().decodeLatent({ latent });
    await expectPictureOfDiffusers(image, reference);
  });
});
