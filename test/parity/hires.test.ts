import { beforeAll, expect, it } from 'vitest';
import { createRuntime, embeddedModelInfo, fileSha256, Latent, type Model, type RawImage } from '../../lib/index.js';
import {
  hiresSigmas,
  hiresSize,
  type HiresSize,
  hiresSteps,
  type HiresUpscaler,
  resolveUpscaler,
  upscaleLatent,
  upscalePixels,
} from '../../lib/pipeline/hires/index.js';
import { readPng } from '../support/sdcli/index.js';
import { type HiresCase, readHiresReference } from './hiresReference.js';
import { psnr } from './psnr.js';
import { referencePath } from './reference.js';

const { cases, minimumPsnr, weightsSha256 } = readHiresReference();

let model: Model;

beforeAll(async () => {
  const runtime = await createRuntime({ backend: 'cpu', threads: 1 });
  model = await runtime.loadModel({ rng: 'cpu', mmap: true });
  return () => runtime.dispose({ abort: true });
});

it('the weights are those of the reference', async () => {
  expect(await fileSha256((await embeddedModelInfo()).narrow.path)).toBe(weightsSha256);
});

/** The parts of a second pass, put together by hand from the low-level calls; noise comes from the seed in both. */
it.each(cases)('two passes of diffusers: $name', async (reference) => {
  const { width, height, hires } = reference;
  const edges = { width: hires.width, height: hires.height };
  const size = hiresSize({ width, height }, edges, { sizeMultiple: model.info.sizeMultiple, scaleFactor: 8 });
  const first = await sampled(reference, { width, height });
  const picture = await decoded(first);
  expect(await likeness(picture, reference.firstFile), 'first pass').toBeGreaterThanOrEqual(minimumPsnr);

  const plan = hiresSteps(hires.steps, hires.denoisingStrength);
  const { sampler, schedule } = reference;
  const sigmas = hiresSigmas(await model.sigmas({ steps: plan.total, sampler, schedule, ...edges }), plan);
  expect(sigmas).toHaveLength(reference.hiresSigmas.length);
  for (const [i, level] of reference.hiresSigmas.entries()) expect(sigmas[i]).toBeCloseTo(level, 5);

  const latent = await enlarged(first, picture, size, resolveUpscaler(hires.upscaler));
  const second = await decoded(await sampled(reference, { ...edges, latent, sigmas: [...sigmas] }));
  expect(await likeness(second, reference.file), 'second pass').toBeGreaterThanOrEqual(minimumPsnr);
});

async function enlarged(first: Latent, picture: RawImage, size: HiresSize, way: HiresUpscaler): Promise<Latent> {
  if (way.kind === 'latent') {
    const { data, shape } = upscaleLatent(first.toNative(), size, way.mode, 8);
    return Latent.from(data, shape, model.latentSpace);
  }
  if (way.kind === 'model') throw new Error('no case has a model');
  const { width, height, data } = await upscalePixels(picture, size, way.filter);
  return model.encodeImage({ image: { width, height, channels: 3, data } });
}

interface Start {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly latent?: Latent;
  readonly sigmas?: readonly number[];
}

async function sampled(reference: HiresCase, { width, height, latent, sigmas }: Start): Promise<Latent> {
  const { prompt, negativePrompt, seed, steps, cfgScale, sampler, schedule } = reference;
  const conditioning = await model.encodePrompt({ prompt, negativePrompt, width, height });
  const levels = sigmas === undefined ? { steps } : { sigmas };
  const start = latent === undefined ? { width, height } : { latent };
  const result = await model.sample({ seed, cfgScale, sampler, schedule, conditioning, ...levels, ...start });
  conditioning.dispose();
  return result;
}

async function decoded(latent: Latent): Promise<RawImage> {
  const [image] = await model.decodeLatent({ latent });
  if (image === undefined) throw new Error('nothing was decoded');
  return image;
}

/** dB. */
async function likeness(image: RawImage, file: string): Promise<number> {
  const wanted = await readPng(referencePath(file));
  expect([image.width, image.height, image.channels]).toEqual([wanted.width, wanted.height, 3]);
  return psnr(image.data, wanted.data);
}
