import { beforeAll, expect, it } from 'vitest';
import {
  createRuntime,
  embeddedModelInfo,
  ensureEmbeddedModel,
  fileSha256,
  Latent,
  type Model,
  type RawImage,
} from '../../lib/index.js';
import { readPng } from '../support/sdcli/index.js';
import { psnr } from './psnr.js';
import {
  readArray,
  readLifted,
  readReference,
  type ReferenceArrays,
  type ReferenceCase,
  referencePath,
} from './reference.js';

const { cases, minimumPsnr, weightsSha256 } = readReference();

// The engine multiplies with activations rounded to half precision (eleven bits), diffusers in single precision.
const half = 2 ** -11;

/** Two of one thread each: two cases are drawn at a time, which takes less than one after the other with two threads. */
const models: Model[] = [];

beforeAll(async () => {
  const runtime = await createRuntime({ backend: 'cpu', threads: 1 });
  for (let i = 0; i < 2; i++) models.push(await runtime.loadModel({ rng: 'cpu', mmap: true }));
  return () => runtime.dispose({ abort: true });
});

it('the weights are those of the reference', async () => {
  expect(await fileSha256((await embeddedModelInfo()).narrow.path)).toBe(weightsSha256);
});

it('diffusers read the lifted files, and found in them what drew the pictures', async () => {
  const lifted = readLifted();
  expect(lifted.weightsSha256).toBe(weightsSha256);
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  expect(await fileSha256(checkpoint)).toBe(lifted.checkpointSha256);
  expect(await fileSha256(taesd)).toBe(lifted.taesdSha256);
});

it.concurrent.each(cases.map((reference, index) => ({ name: reference.name, reference, index })))(
  'the picture of diffusers: $name',
  async ({ reference, index }) => {
    const model = models[index % models.length];
    if (model === undefined) throw new Error('The model was not loaded');
    const { arrays } = reference;
    const image = await (arrays === undefined ? draw(model, reference) : drawInStages(model, reference, arrays));
    const wanted = await readPng(referencePath(reference.file));
    expect([image.width, image.height, image.channels]).toEqual([wanted.width, wanted.height, 3]);
    expect(psnr(image.data, wanted.data)).toBeGreaterThanOrEqual(minimumPsnr);
  },
);

/** With the picture modes. */
async function draw(model: Model, reference: ReferenceCase): Promise<RawImage> {
  const { prompt, negativePrompt, seed, steps, cfgScale, sampler, schedule, width, height } = reference;
  const { initImage, strength } = reference;
  const request = { prompt, negativePrompt, seed, steps, cfgScale, sampler, schedule, width, height };
  const { images } =
    initImage === undefined
      ? await model.txt2img(request)
      : await model.img2img({ ...request, image: referencePath(initImage), denoisingStrength: strength });
  return first(images);
}

/** With the low-level calls; holds what each gives against the arrays of the reference. */
async function drawInStages(model: Model, reference: ReferenceCase, arrays: ReferenceArrays): Promise<RawImage> {
  const { prompt, negativePrompt, seed, steps, cfgScale, sampler, schedule, width, height } = reference;
  const { initImage, strength = 1, sigmas } = reference;
  const size = { width, height };

  const levels = (await model.sigmas({ steps, sampler, schedule, ...size })).slice(-sigmas.length);
  expect(sigmas).toHaveLength(reference.evaluations + 1);
  expect(relativeError(levels, Float32Array.from(sigmas)), 'noise levels').toBeLessThan(1e-6);

  const conditioning = await model.encodePrompt({ prompt, negativePrompt, ...size });
  const latent =
    initImage === undefined
      ? Latent.zeros(width, height, model.latentSpace)
      : await model.encodeImage({ image: referencePath(initImage), ...size });
  const start = latent.toFloat32Array();
  if (arrays.encoded !== undefined) {
    expect(relativeError(start, readArray(arrays.encoded)), 'encoded picture').toBeLessThan(4 * half);
  }

  // One Euler step from start + sigma * noise down to 0 gives that less sigma * epsilon.
  const sigma = sigmas[0] ?? NaN;
  const noise = readArray(arrays.noise);
  const step = { seed, sampler, cfgScale: 1, sigmas: [sigma, 0], conditioning, latent };
  const given = Latent.from(noise, latent.shape, model.latentSpace);
  const fromGiven = (await model.sample({ ...step, noise: given })).toFloat32Array();
  const fromSeed = (await model.sample(step)).toFloat32Array();
  // Other noise is 1 apart. One unit in the last place of it was 2e-3 apart: roundings to half precision that turn over.
  expect(relativeError(fromSeed, fromGiven), 'noise of the seed').toBeLessThan(8 * half);
  const epsilon = fromGiven.map((value, i) => ((start[i] ?? NaN) - value) / sigma + (noise[i] ?? NaN));
  expect(relativeError(epsilon, readArray(arrays.epsilon)), 'first evaluation').toBeLessThan(2 * half);

  const request = { seed, steps, cfgScale, sampler, schedule, conditioning, latent };
  const sampled = await model.sample({ ...request, denoisingStrength: strength });
  expect(relativeError(sampled.toFloat32Array(), readArray(arrays.latent)), 'sampled latent').toBeLessThan(4 * half);
  conditioning.dispose();
  return first(await model.decodeLatent({ latent: sampled }));
}

function first(images: readonly RawImage[]): RawImage {
  const [image] = images;
  if (image === undefined || images.length !== 1) throw new Error(`${String(images.length)} pictures, expected one`);
  return image;
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
