import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FirstPassImage, type GenerateResult, type ImageInput, Latent } from '../../../lib/index.js';
import type { FakeCall } from '../../support/fakeAddon.js';
import { flux, history, twoModels, type TwoModels } from '../../support/fakeCheckpoints.js';
import { picture } from '../../support/fakeAddon.js';
import { lowRank, writeLora } from '../../support/lora/files.js';
import { useScratch } from '../../support/scratch.js';

const scratch = useScratch(4 * 2 ** 20);
const request = {
  prompt: 'x',
  negativePrompt: 'n',
  width: 64,
  height: 64,
  steps: 3,
  seed: 10,
  cfgScale: 4,
  sampler: 'heun',
  schedule: 'karras',
};
const tensor = 'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight';
const made: TwoModels[] = [];

beforeAll(() => {
  const base = 'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0';
  writeLora(scratch.path('one.safetensors'), lowRank({ [base]: [8, 4] }, { seed: 1 }));
});
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose())));

async function models(...[second, options]: Parameters<typeof twoModels>): Promise<TwoModels> {
  const two = await twoModels(second, {
    encodes: (image) => image.data[0] ?? 0,
    tensors: [{ name: tensor, type: 'f16', shape: [8, 4] }],
    runtime: { loraDirectories: [scratch.path('.')] },
    ...options,
  });
  made.push(two);
  return two;
}

function plain({ params: { cond, uncond, ...rest } }: FakeCall<'sample'>): unknown {
  const prompts = [cond, uncond].map((one) => (one as { prompt?: string } | null)?.prompt);
  return { ...rest, prompts };
}

/** What the last n samplings got, and what their pictures say. */
function outcome({ fake }: TwoModels, { images }: GenerateResult): unknown {
  return [
    fake.of('sample').slice(-images.length).map(plain),
    images.map(({ infotext, parameters, seed }) => ({
      infotext: infotext.replace(/Model: a-\d+/, ''),
      parameters,
      seed,
    })),
  ];
}

describe('model.hires over pictures of model.firstPass', () => {
  it.each([
    ['latent', request, { upscaler: 'latent' }],
    ['pixels', request, { upscaler: 'lanczos' }],
    [
      'settings of its own',
      request,
      { prompt: 'y', sampler: 'euler', cfgScale: 2, steps: 4, denoisingStrength: 0.4, scale: 3 },
    ],
    ['LoRAs', { ...request, prompt: 'x <lora:one:0.5>' }, {}],
    ['clip skip and eta', { ...request, sampler: 'euler_a', clipSkip: 2, eta: 0.3 }, {}],
  ])('is what one job would have done: %s', async (_name, first, hires) => {
    const [apart, whole] = [await models(), await models()];
    const { images } = await apart.model.firstPass({ ...first, batchSize: 4 });
    expect(images.map(({ image }) => image.seed)).toEqual([10, 11, 12, 13]);
    const picked = [images[1], images[2]] as [FirstPassImage, FirstPassImage];
    const refined = outcome(apart, await apart.model.hires(picked, hires));
    expect(refined).toEqual(outcome(whole, await whole.model.txt2img({ ...first, seed: 11, batchSize: 2, hires })));
    expect(apart.fake.of('applyWeights').length).toBe(whole.fake.of('applyWeights').length);
  });

  it('in another checkpoint, whose space is another', async () => {
    const two = await models(flux);
    const { images } = await two.model.firstPass({ ...request, batchSize: 2 });
    await two.model.hires(images, { checkpoint: two.b });
    expect(history(two, ['loadModel', 'sample', 'encodeImages'])).toEqual([
      ...['loadModel a', '2 x sample a', 'loadModel b', 'encodeImages b', 'sample b', 'encodeImages b', 'sample b'],
    ]);
  });

  it('keeps latents that belong to the picture', async () => {
    const two = await models();
    const { images } = await two.model.firstPass({ ...request, batchSize: 2 });
    expect(images.map(({ latent }) => latent.toNative().data[0])).toEqual([10, 11]);
    expect(images.map(({ latent }) => [latent.width, latent.height])).toEqual([
      [64, 64],
      [64, 64],
    ]);
  });

  it('refuses a request that has a second pass already', async () => {
    const two = await models();
    await expect(two.model.firstPass({ ...request, hires: {} } as never)).rejects.toMatchObject({
      ...{ code: 'ERR_INVALID_OPTION', field: 'hires' },
    });
  });
});

describe('model.hires over pictures', () => {
  const saved = async (two: TwoModels, change: object = {}): Promise<Uint8Array> => {
    const { images } = await two.model.txt2img({ ...request, ...change });
    const [image] = images;
    if (image === undefined) throw new Error('No picture');
    return image.toPng();
  };

  it('that were saved by us: the request is read from them', async () => {
    const two = await models();
    const png = await saved(two, { clipSkip: 2 });
    const { images } = await two.model.hires([png], { upscaler: 'lanczos', steps: 2 });
    expect(plain(two.fake.of('sample').at(-1) as FakeCall<'sample'>)).toMatchObject({
      ...{ seed: 10, sampler: 'heun', cfgScale: 4, prompts: ['x', 'n'] },
      latent: { shape: [1, 4, 16, 16], data: new Float32Array(1024).fill(10) },
    });
    expect(two.fake.of('sigmas').at(-1)?.params).toMatchObject({ schedule: 'karras' });
    expect(images[0]?.parameters).toMatchObject({ ...request, clipSkip: 2, hires: { upscaler: 'Lanczos', steps: 2 } });
    // The same from the picture itself, without a file between.
    const again = await two.model.hires(images, { upscaler: 'lanczos' });
    expect(again.images[0]).toMatchObject({ width: 256, height: 256 });
  });

  it('with an upscaler of latents: the picture is encoded at its own size', async () => {
    const two = await models();
    const png = await saved(two);
    const { images } = await two.model.hires([png]);
    expect(images[0]).toMatchObject({ width: 128, height: 128 });
    expect(two.fake.of('encodeImages').map(({ params }) => params.images[0]?.image.width)).toEqual([64]);
    expect(two.fake.of('sample').at(-1)?.params.latent.data[0]).toBe(10);
  });

  it('with an upscaler of latents and another checkpoint: the first model is not needed any more', async () => {
    const two = await models();
    const png = await saved(two);
    await two.model.hires([png], { checkpoint: two.b, upscaler: 'latent' });
    expect(history(two, ['encodeImages'])).toEqual(['encodeImages b']);
  });

  it('with a VAE that cannot encode: an error before anything runs', async () => {
    const two = await models({}, { info: { canEncodeImages: false } });
    const png = await saved(two);
    await expect(two.model.hires([png])).rejects.toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED' });
    expect(two.fake.of('sample')).toHaveLength(1);
    // A latent that is there needs no encoder.
    const { images } = await two.model.firstPass(request);
    await two.model.hires(images);
    expect(two.fake.of('sample')).toHaveLength(3);
  });

  it('of img2img: prompt and settings count, its start picture and strength do not', async () => {
    const two = await models();
    const start = picture(64, 64, 9) as ImageInput;
    const { images } = await two.model.img2img({ ...request, image: start, denoisingStrength: 0.5 });
    const [image] = images;
    if (image === undefined) throw new Error('No picture');
    for (const given of [image, await image.toPng()]) {
      const { images: refined } = await two.model.hires([given], { upscaler: 'nearest', denoisingStrength: 0.3 });
      expect(refined[0]).toMatchObject({ width: 128 });
      expect(refined[0]?.infotext).toContain('Denoising strength: 0.3');
    }
  });

  it('without any text: with a prompt, else an error that says so', async () => {
    const two = await models();
    const bare = picture(64, 64, 77) as ImageInput;
    await expect(two.model.hires([bare])).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'images[0]' });
    expect(two.fake.of('sample')).toHaveLength(0);
    const { images } = await two.model.hires([bare], { prompt: 'y', upscaler: 'bicubic' });
    expect(plain(two.fake.of('sample')[0] as FakeCall<'sample'>)).toMatchObject({
      ...{ prompts: ['y', ''], cfgScale: 7, latent: { data: new Float32Array(1024).fill(77) } },
    });
    expect(images[0]?.infotext).toMatch(/^y\n/);
  });

  it('of several kinds is an error', async () => {
    const two = await models();
    const list = [await saved(two), await saved(two, { seed: 11 }), await saved(two, { prompt: 'z' })];
    await expect(two.model.hires(list)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'images[2]' });
    const sizes = [await saved(two), await saved(two, { width: 128 })];
    await expect(two.model.hires(sizes)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'images[1]' });
    const { images } = await two.model.hires(list.slice(0, 2));
    expect(images.map(({ seed }) => seed)).toEqual([10, 11]);
  });

  it.each([
    [{ cfgScale: 5 }, { cfgScale: 2 }],
    [{ steps: 4 }, { steps: 2 }],
    [{ sampler: 'euler' }, { sampler: 'euler_a' }],
    [{ schedule: 'simple' }, { schedule: 'karras' }],
    [{ clipSkip: 2 }, { clipSkip: 1 }],
    [{ eta: 0.5 }, undefined],
    [{ variationSeed: 3, variationStrength: 0.5 }, undefined],
  ])('that were made otherwise, %o, are an error unless the second pass says what it does', async (change, hires) => {
    const two = await models();
    const list = [await saved(two), await saved(two, change)];
    await expect(two.model.hires(list)).rejects.toMatchObject({
      ...{ code: 'ERR_INVALID_OPTION', field: 'images[1]' },
      message: expect.stringContaining(Object.keys(change).at(-1) ?? '') as string,
    });
    if (hires !== undefined) expect((await two.model.hires(list, hires)).images).toHaveLength(2);
  });

  it('with variation seeds of their own', async () => {
    const two = await models();
    const variation = { variationSeed: 30, variationStrength: 1, batchSize: 3 };
    const { images } = await two.model.firstPass({ ...request, ...variation });
    const from = two.fake.of('noise').length;
    await two.model.hires(images.slice(1), {});
    expect(
      two.fake
        .of('noise')
        .slice(from)
        .map(({ params }) => params.seed),
    ).toEqual([31, 32]);
  });

  it.each([
    [[], 'ERR_INVALID_OPTION'],
    [undefined, 'ERR_INVALID_OPTION'],
    ['/no/such.png', 'ERR_INVALID_OPTION'],
    [['/no/such.png'], 'ERR_IMAGE_INVALID'],
    [[null], 'ERR_INVALID_OPTION'],
  ])('%o is refused', async (images, code) => {
    const two = await models();
    await expect(two.model.hires(images as never)).rejects.toMatchObject({ code });
    expect(two.model.queue.length).toBe(0);
  });

  it('refuses latents of another space', async () => {
    const two = await models();
    const [{ image }] = (await two.model.firstPass(request)).images as [FirstPassImage];
    const foreign = Latent.zeros(64, 64, { ...two.model.latentSpace, family: 'sdxl' });
    await expect(two.model.hires([new FirstPassImage(image, foreign)])).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
    });
  });
});
