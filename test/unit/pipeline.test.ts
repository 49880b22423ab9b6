import { describe, expect, it } from 'vitest';
import type { NativeImage, NativeSampleParams } from '../../lib/native/contract.js';
import { roundMask } from '../../lib/pipeline/mask.js';
import { planEncoding, prepareLatents } from '../../lib/pipeline/latents.js';
import { runMode } from '../../lib/pipeline/modes.js';
import { makePass, makePlan, withMemory } from '../../lib/pipeline/plan.js';
import { resolveSampling, resolveTiling } from '../../lib/pipeline/sampling.js';
import { batchSeeds } from '../../lib/pipeline/seeds.js';
import { img2imgSigmas } from '../../lib/pipeline/steps.js';
import { fakeSigmas, picture } from '../support/fakeAddon.js';
import { fakeFacts, fakePipeline } from '../support/fakeModel.js';

const raw = (width: number, height: number, value = 200) =>
  picture(width, height, value) as NativeImage & { channels: 3 };

function grey(width: number, height: number, at: (x: number, y: number) => number): NativeImage & { channels: 1 } {
  const data = new Uint8Array(width * height).map((_, i) => at(i % width, Math.floor(i / width)));
  return { width, height, channels: 1, data };
}

function sampled(fake: ReturnType<typeof fakePipeline>['fake']): NativeSampleParams[] {
  return fake.of('sample').map(({ params }) => params);
}

describe('requests', () => {
  it('fill the defaults of the model in', async () => {
    const { fake, model } = fakePipeline();
    const { images } = await runMode(model, 'txt2img', { prompt: 'a cat' });
    const [params] = sampled(fake);
    expect(images).toHaveLength(1);
    expect(images[0]).toMatchObject({ width: 512, height: 512 });
    expect(params?.sigmas).toHaveLength(21);
    expect(params).toMatchObject({
      cfgScale: 7,
      sampler: 'euler_a',
      mask: null,
      concat: null,
      noise: null,
      preview: 'none',
      shiftedTimestep: 0,
    });
    expect(params?.imageCfgScale).toBeNaN();
    expect(params?.latent.shape).toEqual([1, 4, 64, 64]);
    expect(params?.latent.data.every((value) => value === 0)).toBe(true);
    expect(fake.of('encodeImages')).toHaveLength(0);
  });

  it('know the sizes of other models', async () => {
    const sdxl = fakePipeline({ facts: { architecture: 'SDXL', isSdxl: true } });
    expect((await runMode(sdxl.model, 'txt2img', { prompt: '' })).images[0]?.width).toBe(1024);
    const embedded = fakePipeline({ facts: { embedded: true } });
    const [image] = (await runMode(embedded.model, 'txt2img', { prompt: '' })).images;
    expect([image?.width, image?.parameters['cfgScale']]).toEqual([128, 3]);
  });

  it('use seed + i for image i and report the seeds', async () => {
    const { fake, model } = fakePipeline();
    const { images } = await runMode(model, 'txt2img', { prompt: 'x', seed: 41, batchSize: 3, steps: 1 });
    expect(sampled(fake).map(({ seed }) => seed)).toEqual([41, 42, 43]);
    expect(images.map(({ seed }) => seed)).toEqual([41, 42, 43]);
    expect(images.map(({ data }) => data[0])).toEqual([41, 42, 43]);
    expect(images[2]?.parameters).toMatchObject({ seed: 43, prompt: 'x' });
    expect(images[2]?.infotext).toContain('Seed: 43');
  });

  it('draw a random seed for -1 and report it', async () => {
    const { fake, model } = fakePipeline();
    const seeds = new Set<number>();
    for (let i = 0; i < 4; i++)
      seeds.add((await runMode(model, 'txt2img', { prompt: 'x', steps: 1 })).images[0]?.seed ?? -1);
    expect(seeds.size).toBeGreaterThan(1);
    expect([...seeds].every((seed) => Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)).toBe(true);
    expect(sampled(fake).map(({ seed }) => seed)).toEqual(expect.arrayContaining([...seeds]));
  });

  it('refuse a seed whose batch leaves the safe integers', () => {
    expect(() => batchSeeds(Number.MAX_SAFE_INTEGER, 2)).toThrow(/seed/);
    expect(batchSeeds(Number.MAX_SAFE_INTEGER, 1)).toEqual([Number.MAX_SAFE_INTEGER]);
  });

  it('encode a negative prompt only when guidance needs it', async () => {
    const { fake, model } = fakePipeline();
    await runMode(model, 'txt2img', { prompt: 'a', negativePrompt: 'b', cfgScale: 1, steps: 1 });
    expect(fake.of('encodePrompt').map(({ params }) => params.prompt)).toEqual(['a']);
    expect(sampled(fake)[0]?.uncond).toBeNull();
    await runMode(model, 'txt2img', { prompt: 'a', negativePrompt: 'b', cfgScale: 2, steps: 1 });
    expect(fake.of('encodePrompt').map(({ params }) => params.prompt)).toEqual(['a', 'b']);
    expect(sampled(fake)[1]?.uncond).toMatchObject({ prompt: 'b' });
  });

  it('zero an empty negative prompt of SDXL, and of SDXL only', async () => {
    const flags = async (facts: Parameters<typeof fakeFacts>[0], negativePrompt: string): Promise<boolean[]> => {
      const { fake, model } = fakePipeline({ facts: facts ?? {} });
      await runMode(model, 'txt2img', { prompt: '', negativePrompt, steps: 1, width: 64, height: 64 });
      return fake.of('encodePrompt').map(({ params }) => params.zeroOutMasked);
    };
    expect(await flags({ isSdxl: true }, '')).toEqual([false, true]);
    expect(await flags({ isSdxl: true }, 'x')).toEqual([false, false]);
    expect(await flags({ isSdxl: true, prediction: 'edm_v' }, '')).toEqual([false]);
    expect(await flags({}, '')).toEqual([false]);
  });

  it('take samplers and schedules by the names of A1111', async () => {
    const { fake, model } = fakePipeline();
    await runMode(model, 'txt2img', { prompt: '', sampler: 'DPM++ 2M Karras', steps: 2 });
    await runMode(model, 'txt2img', { prompt: '', sampler: 'LCM', steps: 2 });
    await runMode(model, 'txt2img', { prompt: '', sampler: 'Euler a', schedule: 'Automatic', steps: 2 });
    expect(fake.of('sigmas').map(({ params: { sampler, schedule } }) => [sampler, schedule])).toEqual([
      ['dpm++2m', 'karras'],
      ['lcm', 'lcm'],
      ['euler_a', 'discrete'],
    ]);
  });

  it('take own noise levels', async () => {
    const { fake, model } = fakePipeline();
    const { images } = await runMode(model, 'txt2img', { prompt: '', sigmas: [3, 2, 1, 0] });
    expect(fake.of('sigmas')).toHaveLength(0);
    expect([...(sampled(fake)[0]?.sigmas ?? [])]).toEqual([3, 2, 1, 0]);
    expect(images[0]?.parameters).toMatchObject({ steps: 3, sigmas: [3, 2, 1, 0] });
  });

  it.each([
    [{ prompt: 'x', sampler_name: 'euler' }, 'sampler_name', /sampler/],
    [{ prompt: 'x', negativeprompt: '' }, 'negativeprompt', /negativePrompt/],
    [{ prompt: 'x', denoisingStrength: 0.5 }, 'denoisingStrength', /txt2img/],
    [{ prompt: 'x', width: 500 }, 'width', /448 or 512/],
    [{ prompt: 'x', steps: 0 }, 'steps', /1 to 1000/],
    [{ prompt: 'x', cfgScale: NaN }, 'cfgScale', /finite/],
    [{ prompt: 'x', seed: 1.5 }, 'seed', /integer/],
    [{ prompt: 'x', imageCfgScale: 1.5 }, 'imageCfgScale', /inpaint/],
    [{ prompt: 'x', skipLayerGuidance: {} }, 'skipLayerGuidance', /transformer/],
    [{ prompt: 'x', stepCache: { mode: 'easycache' } }, 'stepCache.mode', /ucache/],
    [{ prompt: 'x', stepCache: { mode: 'ucache', start: 0.9, end: 0.2 } }, 'stepCache.start', /stepCache.end/],
    [{ prompt: 'x', controlImage: 'a.png' }, 'controlImage', /controlNet/],
    [{ prompt: 'x', refImages: ['a.png'] }, 'refImages', /img2img/],
    [{ prompt: 'x', preview: { mode: 'taesd' }, onPreview: () => undefined }, 'preview.mode', /taesd/],
  ])('refuse %o', async (request, field, message) => {
    const { fake, model } = fakePipeline();
    await expect(runMode(model, 'txt2img', request)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field,
      message: expect.stringMatching(message) as string,
    });
    expect(fake.calls).toHaveLength(0);
  });

  it('name a prompt that is none', async () => {
    const { model } = fakePipeline();
    await expect(runMode(model, 'txt2img', {})).rejects.toMatchObject({ code: 'ERR_INVALID_PROMPT', field: 'prompt' });
  });

  it('refuse video models and missing encoders', async () => {
    const video = fakePipeline({ facts: { isVideo: true } });
    await expect(runMode(video.model, 'txt2img', { prompt: '' })).rejects.toMatchObject({
      code: 'ERR_MODEL_UNSUPPORTED',
    });
    const decoder = fakePipeline({ facts: { canEncodeImages: false } });
    const request = { prompt: '', image: raw(64, 64) };
    await expect(runMode(decoder.model, 'img2img', request)).rejects.toMatchObject({
      code: 'ERR_MODEL_UNSUPPORTED',
      field: 'image',
    });
  });

  it('report a missing picture while the job still waits', async () => {
    const { fake, model } = fakePipeline();
    fake.hold.add('sample');
    const first = runMode(model, 'txt2img', { prompt: '', steps: 1 });
    await expect(runMode(model, 'img2img', { prompt: '', image: '/no/such.png' })).rejects.toMatchObject({
      code: 'ERR_IMAGE_INVALID',
      field: 'image',
    });
    fake.hold.clear();
    fake.of('sample').forEach((call) => call.release());
    await first;
  });
});

describe('img2img and inpaint', () => {
  it('encode the picture with the seed and run the last part of the schedule', async () => {
    const { fake, model } = fakePipeline();
    const { images } = await runMode(model, 'img2img', {
      prompt: '',
      image: raw(128, 64),
      steps: 10,
      denoisingStrength: 0.5,
      seed: 9,
    });
    expect(fake.of('encodeImages')[0]?.params).toMatchObject({
      seed: 9,
      images: [{ mask: null, image: { width: 128, height: 64 } }],
    });
    const [params] = sampled(fake);
    expect([...(params?.sigmas ?? [])]).toEqual([...img2imgSigmas(fakeSigmas(10), 0.5)]);
    expect(params?.latent.data[1]).toBe(1);
    expect(images[0]).toMatchObject({ width: 128, height: 64 });
    expect(images[0]?.infotext).toContain('Denoising strength: 0.5');
  });

  it('take the size of the picture, rounded down to the multiple', async () => {
    const { fake, model } = fakePipeline();
    const { images } = await runMode(model, 'img2img', { prompt: '', image: raw(150, 70), steps: 1 });
    expect(images[0]).toMatchObject({ width: 128, height: 64 });
    expect(fake.of('encodeImages')[0]?.params.images[0]?.image).toMatchObject({ width: 128, height: 64 });
  });

  it('leaves the pixels of a picture of the right size alone', async () => {
    const { fake, model } = fakePipeline();
    const image = raw(64, 64);
    image.data.set([1, 2, 3, 250, 0, 128]);
    await runMode(model, 'img2img', { prompt: '', image, steps: 1 });
    expect(fake.of('encodeImages')[0]?.params.images[0]?.image.data).toEqual(image.data);
  });

  it('pass the mask of the latent cells', async () => {
    const { fake, model } = fakePipeline();
    const mask = grey(64, 64, (x) => (x < 8 ? 255 : 0));
    await runMode(model, 'inpaint', { prompt: '', image: raw(64, 64), mask, steps: 1, denoisingStrength: 1 });
    const [params] = sampled(fake);
    expect(params?.mask?.shape).toEqual([1, 1, 8, 8]);
    expect(params?.mask?.data.filter((value) => value === 1)).toHaveLength(8);
    expect(params?.concat).toBeNull();
  });

  it('give inpaint models mask and masked picture as further channels, and widen the mask', async () => {
    const { fake, model } = fakePipeline({ facts: { architecture: 'SD 1.x Inpaint', isInpaint: true } });
    const mask = grey(64, 64, (x) => (x < 8 ? 255 : 0));
    await runMode(model, 'inpaint', { prompt: '', image: raw(64, 64), mask, steps: 1, imageCfgScale: 2 });
    const { images } = fake.of('encodeImages')[0]?.params ?? { images: [] };
    expect(images.map((item) => item.mask !== null)).toEqual([false, true]);
    const [params] = sampled(fake);
    expect(params?.concat?.shape).toEqual([1, 5, 8, 8]);
    const concat = params?.concat?.data ?? new Float32Array();
    expect(concat.subarray(0, 64).filter((value) => value === 1)).toHaveLength(8);
    expect(concat.subarray(64).every((value) => value === 2)).toBe(true);
    expect(params?.uncondConcat?.data.subarray(64).every((value) => value === 0)).toBe(true);
    expect(params?.mask?.data.filter((value) => value === 1)).toHaveLength(16);
    expect(params?.imageCfgScale).toBe(2);
  });

  it('need a mask for inpaint', async () => {
    const { model } = fakePipeline();
    await expect(runMode(model, 'inpaint', { prompt: '', image: raw(64, 64) })).rejects.toMatchObject({
      field: 'mask',
    });
  });
});

describe('special models', () => {
  const pass = { width: 64, height: 64 };
  const none = { image: null, mask: null, controlImage: null, refImages: [] };
  const ones = (channels: number, value: number) => ({
    shape: [1, channels, 8, 8],
    data: new Float32Array(channels * 64).fill(value),
  });

  it('encode in the order start picture, control picture, references, masked picture', () => {
    const facts = fakeFacts({ isInpaint: true, isDit: true, hasControlNet: true });
    const inputs = {
      image: raw(64, 64, 1),
      mask: null,
      controlImage: raw(64, 64, 2),
      refImages: [raw(64, 64, 3), raw(64, 64, 4)],
    };
    const plan = planEncoding(pass, inputs, facts);
    expect(plan.items.map(({ image, mask }) => [image.data[0], mask !== null])).toEqual([
      [1, false],
      [2, false],
      [3, false],
      [4, false],
      [1, true],
    ]);
    expect(plan).toMatchObject({ init: 0, control: 1, refs: [2, 3], masked: 4 });
  });

  it('do not encode a control picture that only a ControlNet reads', () => {
    const plan = planEncoding(pass, { ...none, controlImage: raw(64, 64, 2) }, fakeFacts({ hasControlNet: true }));
    expect(plan.items).toHaveLength(0);
  });

  it('give control models the control latent, or zeros', () => {
    const facts = fakeFacts({ architecture: 'Flux Control', isControl: true, isDit: true });
    const inputs = { ...none, controlImage: raw(64, 64, 2) };
    const plan = planEncoding(pass, inputs, facts);
    expect(prepareLatents(pass, inputs, facts, plan, [ones(4, 5)]).concat?.data[0]).toBe(5);
    expect(prepareLatents(pass, none, facts, planEncoding(pass, none, facts), []).concat?.data[0]).toBe(0);
  });

  it('give edit models a black reference when there is none', () => {
    const facts = fakeFacts({ architecture: 'Instruct-Pix2Pix', isEdit: true });
    const plan = planEncoding(pass, none, facts);
    expect(plan.items[0]?.image.data.every((value) => value === 0)).toBe(true);
    expect(prepareLatents(pass, none, facts, plan, [ones(4, 7)])).toMatchObject({
      concat: { data: ones(4, 7).data },
      uncondConcat: { data: ones(4, 0).data },
    });
  });

  it('give Flex.2 the channels its graph reads', () => {
    const facts = fakeFacts({ architecture: 'Flex.2', isInpaint: true, isControl: true, isDit: true });
    const inputs = {
      ...none,
      image: raw(64, 64),
      mask: roundMask(grey(64, 64, (x) => (x < 8 ? 255 : 0))),
      controlImage: raw(64, 64),
    };
    const plan = planEncoding(pass, inputs, facts);
    expect(plan.masked).toBeNull();
    const { concat } = prepareLatents(pass, inputs, facts, plan, [ones(4, 3), ones(4, 6)]);
    expect(concat?.shape).toEqual([1, 9, 8, 8]);
    expect([concat?.data[0], concat?.data[1], concat?.data[4 * 64], concat?.data[5 * 64]]).toEqual([0, 3, 1, 6]);
  });
});

describe('plans', () => {
  it('are frozen, the mode being part of the pass', () => {
    const sampling = resolveSampling({ steps: 4, cfgScale: 1, seed: 5, guidance: 1, controlStrength: 1 }, fakeFacts());
    const tiling = resolveTiling(false);
    if (tiling === 'auto') throw new Error('not asked for');
    const pass = makePass({
      ...{ mode: 'img2img', prompt: '', negativePrompt: '', clipSkip: -1, width: 64, height: 64 },
      ...{ denoisingStrength: 0.3, sampling, seeds: [5, 6] },
    });
    const plan = makePlan({ passes: [pass], strictPrompt: false, preview: { mode: 'none', every: 1 } });
    expect(plan.passes[0]).toMatchObject({ mode: 'img2img', denoisingStrength: 0.3 });
    const tiled = withMemory(plan, [{ decode: { ...tiling, enabled: true }, encode: tiling }], 7);
    expect(tiled).toMatchObject({ memoryBudget: 7, passes: [{ mode: 'img2img', tiling: { enabled: true } }] });
    for (const one of [plan, tiled])
      for (const part of [one, one.passes, one.passes[0], one.passes[0].seeds])
        expect(Object.isFrozen(part)).toBe(true);
  });

  it('know tiling', () => {
    expect(resolveTiling(true)).toEqual({ enabled: true, tileSizeX: 0, tileSizeY: 0, overlap: 0.5 });
    expect(resolveTiling({ tileSize: { x: 16, y: 24 }, overlap: 0.25 })).toEqual({
      enabled: true,
      tileSizeX: 16,
      tileSizeY: 24,
      overlap: 0.25,
    });
    expect(resolveTiling(false)).toMatchObject({ enabled: false });
    expect(resolveTiling(undefined)).toBe('auto');
    expect(resolveTiling('auto')).toBe('auto');
  });
});
