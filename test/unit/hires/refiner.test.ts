import { afterAll, describe, expect, it } from 'vitest';
import { infotextToRequest, type ImageInput, type Txt2ImgRequest } from '../../../lib/index.js';
import { stepsBefore } from '../../../lib/pipeline/refiner/switchPoint.js';
import { type FakeCall, picture } from '../../support/fakeAddon.js';
import { flux, heard, history, twoModels, type TwoModels } from '../../support/fakeCheckpoints.js';
import { fakeFile, wholeCheckpoint } from '../../support/fakeFiles.js';

const request = { prompt: 'x', negativePrompt: 'n', width: 64, height: 64, steps: 10, seed: 5, sampler: 'euler_a' };
const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose({ abort: true }))));

async function models(...given: Parameters<typeof twoModels>): Promise<TwoModels> {
  const two = await twoModels(...given);
  made.push(two);
  return two;
}

/** What a sampling was told, but for its conditioning; which model's text encoder made that. */
function told({ params: { cond, uncond, ...rest } }: FakeCall<'sample'>): typeof rest {
  expect([cond, uncond].map((one) => (one as { prompt?: string } | null)?.prompt)).toEqual(['x', 'n']);
  return rest;
}

describe('stepsBefore', () => {
  it.each([
    [20, 0.8, 16],
    [10, 0.8, 8],
    [20, 0.77, 16],
    [20, 0.75, 15],
    [3, 1 / 3, 1],
    [3, 0.34, 2],
    [2, 0.01, 1],
    [25, 0.96, 24],
  ])('%i steps at %d: %i', (steps, share, before) => {
    expect(stepsBefore(steps, share, 'f')).toBe(before);
    // As A1111 counts: the first step whose share of those done is not below.
    expect(before / steps).toBeGreaterThanOrEqual(share);
    expect((before - 1) / steps).toBeLessThan(share);
  });

  it.each([
    [20, 0, /more than 0 and at most 0.95.*in place of the model/],
    [20, 1, /at most 0.95 for 20 steps.*after the last step/],
    [4, 0.8, /at most 0.75 for 4 steps/],
    [1, 0.5, /at least 2 steps/],
    [0, 0.5, /at least 2 steps/],
  ])('%i steps at %d is an error', (steps, share, message) => {
    expect(() => stepsBefore(steps, share, 'refiner.switchAt')).toThrow(message);
  });
});

describe('a refiner', () => {
  it('takes over once for a batch, and decodes; the model before decodes nothing', async () => {
    const two = await models();
    const { events, onModel } = heard();
    const reasons: string[] = [];
    const listen: Txt2ImgRequest['onModel'] = (event) => {
      onModel(event);
      reasons.push(event.reason);
    };
    const { images } = await two.model.txt2img({
      ...request,
      ...{ batchSize: 4, onModel: listen, refiner: { checkpoint: two.b } },
    });
    expect(images.map(({ seed }) => seed)).toEqual([5, 6, 7, 8]);
    expect(history(two, ['loadModel', 'encodePrompt', 'sample', 'decodeLatent', 'encodeImages', 'sigmas'])).toEqual([
      ...['loadModel a', '2 x encodePrompt a', 'sigmas a', '4 x sample a', 'loadModel b', '2 x encodePrompt b'],
      ...Array.from({ length: 4 }, () => ['sample b', 'decodeLatent b']).flat(),
    ]);
    expect(events).toEqual(['load b', 'switch b']);
    expect(reasons[1]).toMatch(/The refiner "b-\d+" goes on after step 8 of 10 of "a-\d+"/);
    await two.model.txt2img({ ...request, onModel, refiner: { checkpoint: two.b } });
    expect(events).toEqual(['load b', 'switch b', 'switch b']);
  });

  it('gets the run as it was: latent, noise, seed, levels, sampler, and what was predicted', async () => {
    const two = await models();
    await two.model.txt2img({
      ...request,
      ...{ batchSize: 2, eta: 0.4, variationSeed: 9, variationStrength: 0.5 },
      refiner: { checkpoint: two.b, switchAt: 0.5 },
    });
    const calls = two.fake.of('sample').map(told);
    for (const index of [0, 1]) {
      const [before, after] = [calls[index], calls[index + 2]];
      expect(before).toMatchObject({ stopAfter: 5, predictions: null });
      const predictions = { shape: [5, 4, 8, 8], data: new Float32Array(5 * 256) };
      for (let step = 0; step < 5; step++) predictions.data[step * 256] = 5;
      expect(after).toEqual({ ...before, stopAfter: 0, predictions });
      expect(after?.noise).not.toBeNull();
    }
    expect(calls[0]?.noise).not.toEqual(calls[1]?.noise);
  });

  it('of img2img: a share of the steps that are run; the picture is encoded once', async () => {
    const two = await models();
    const job = { ...request, image: picture(64, 64, 9) as ImageInput, denoisingStrength: 0.45 };
    await two.model.img2img({ ...job, refiner: { checkpoint: two.b, switchAt: 0.6 } });
    const [before, after] = two.fake.of('sample').map(told);
    // int(10 * 0.45) + 1 steps.
    expect(before?.sigmas).toHaveLength(6);
    expect(before?.stopAfter).toBe(3);
    expect(after?.sigmas).toEqual(before?.sigmas);
    expect(after?.latent).toEqual(before?.latent);
    expect(after?.latent.data[1]).toBe(1);
    expect(two.fake.of('encodeImages')).toHaveLength(1);
  });

  it('of inpaint: the mask holds for both, and what it keeps is laid over the result', async () => {
    const two = await models();
    const mask = { width: 64, height: 64, channels: 1 as const, data: new Uint8Array(4096).fill(255, 0, 2048) };
    const image = picture(64, 64, 9) as ImageInput;
    const { images } = await two.model.inpaint({
      ...request,
      ...{ image, mask, maskedContent: 'latent noise', pasteBack: true },
      refiner: { checkpoint: two.b, switchAt: 0.5 },
    });
    const [before, after] = two.fake.of('sample').map(told);
    expect(before?.mask).not.toBeNull();
    expect(after?.mask).toEqual(before?.mask);
    // The noise that painting begins with is part of the latent that the run has.
    expect(new Set(before?.latent.data).size).toBeGreaterThan(2);
    expect(after?.latent).toEqual(before?.latent);
    expect(images[0]?.data.subarray(-3)).toEqual(Uint8Array.of(9, 9, 9));
  });

  it('goes before a hires pass of the first model, which comes back for it', async () => {
    const two = await models();
    const { events, onModel } = heard();
    const { images } = await two.model.txt2img({
      ...request,
      ...{ batchSize: 2, onModel, refiner: { checkpoint: two.b }, hires: { steps: 3 } },
    });
    expect(history(two, ['loadModel', 'sample', 'decodeLatent'])).toEqual([
      ...['loadModel a', '2 x sample a', 'loadModel b', '2 x sample b'],
      ...['sample a', 'decodeLatent a', 'sample a', 'decodeLatent a'],
    ]);
    expect(events).toEqual(['load b', 'switch b', 'switch a']);
    expect(images[0]).toMatchObject({ width: 128 });
    const calls = two.fake.of('sample');
    // The refiner's result is what is enlarged.
    expect(calls.at(-1)?.params).toMatchObject({ stopAfter: 0, predictions: null, latent: { shape: [1, 4, 16, 16] } });
  });

  it('of a hires pass: the enlarged latent is the start of both parts', async () => {
    const two = await models();
    const third = wholeCheckpoint('c');
    const hires = { checkpoint: two.b, upscaler: 'lanczos', steps: 4, refiner: { checkpoint: third, switchAt: 0.5 } };
    await two.model.txt2img({ ...request, batchSize: 2, hires });
    expect(history(two, ['loadModel', 'sample', 'encodeImages', 'decodeLatent'])).toEqual([
      ...['loadModel a', 'sample a', 'decodeLatent a', 'sample a', 'decodeLatent a', 'loadModel b'],
      ...['encodeImages b', 'sample b', 'encodeImages b', 'sample b', 'loadModel ?'],
      ...['sample ?', 'decodeLatent ?', 'sample ?', 'decodeLatent ?'],
    ]);
    const [, , before, , after] = two.fake.of('sample').map(told);
    expect(before?.sigmas).toHaveLength(5);
    expect(after).toEqual({ ...before, stopAfter: 0, predictions: after?.predictions });
    expect(after?.predictions?.shape).toEqual([2, 4, 16, 16]);
  });

  it('runs in firstPass and in model.hires', async () => {
    const two = await models();
    const refiner = { checkpoint: two.b };
    const { images } = await two.model.firstPass({ ...request, batchSize: 2, refiner });
    expect(images.map(({ latent }) => latent.width)).toEqual([64, 64]);
    const { images: large } = await two.model.hires(images, { steps: 5, refiner });
    expect(history(two, ['sample'])).toEqual(['2 x sample a', '2 x sample b', '2 x sample a', '2 x sample b']);
    const files = { [two.b.replace(/.*\//, '')]: two.b };
    expect(infotextToRequest(large[0]?.infotext ?? '', { files })).toMatchObject({
      refiner: { checkpoint: two.b, switchAt: 0.8 },
      hires: { steps: 5, refiner: { checkpoint: two.b, switchAt: 0.8 } },
    });
    // A saved picture does not say where its refiner is, and a second pass does not need it.
    const png = await images[0]?.image.toPng();
    if (png === undefined) throw new Error('No picture');
    const { images: again } = await two.model.hires([png], { upscaler: 'lanczos' });
    expect(again[0]?.infotext).toMatch(/Refiner: b-\d+, Refiner switch at: 0.8.*Hires refiner: first pass/);
  });

  it('has no effect on the seeds of a run: the same job without it has the same start', async () => {
    const two = await models();
    await two.model.txt2img({ ...request, refiner: { checkpoint: two.b } });
    await two.model.txt2img(request);
    const [refined, , plain] = two.fake.of('sample').map(told);
    expect(plain).toEqual({ ...refined, stopAfter: 0 });
  });
});

describe('modules of a refiner', () => {
  it("'same' are those of the first: its text encoders encode, its VAE decodes", async () => {
    const two = await models();
    await two.model.txt2img({ ...request, refiner: { checkpoint: two.b, modules: 'same' } });
    expect(history(two, ['loadModel', 'encodePrompt', 'sample', 'decodeLatent'])).toEqual([
      ...['loadModel a', '2 x encodePrompt a', 'sample a', 'loadModel b', 'sample b', 'decodeLatent a'],
    ]);
  });

  it('in a list are files of the refiner', async () => {
    const two = await models();
    const vae = fakeFile('vae', ['soleVae']);
    await two.model.txt2img({ ...request, refiner: { checkpoint: two.b, modules: [vae] } });
    expect(two.fake.of('loadModel').at(-1)?.params.files).toEqual({ checkpoint: two.b, vae });
  });
});

describe('a refiner that cannot be', () => {
  const bare = fakeFile('bare', ['diffusionModel']);
  const vae = fakeFile('vae', ['soleVae']);
  it.each<[string, Parameters<typeof twoModels>[0], (b: string) => object, string, string, RegExp]>([
    ['other channels', flux, (checkpoint) => ({ checkpoint }), 'ERR_INVALID_OPTION', 'checkpoint', /"Flux" \(flux\)/],
    [
      'another space of the same shape',
      { architecture: 'SDXL', isSdxl: true },
      (checkpoint) => ({ checkpoint }),
      ...(['ERR_INVALID_OPTION', 'checkpoint', /"SDXL" \(sdxl\).*hires.checkpoint/] as const),
    ],
    [
      'another kind of noise',
      { prediction: 'flow' },
      (checkpoint) => ({ checkpoint }),
      ...(['ERR_INVALID_OPTION', 'checkpoint', /predicts "flow"/] as const),
    ],
    [
      'no file',
      {},
      () => ({ checkpoint: '/no/such.safetensors' }),
      ...(['ERR_MODEL_NOT_FOUND', 'checkpoint', /no\/such/] as const),
    ],
    [
      'no text encoder',
      {},
      () => ({ checkpoint: bare }),
      ...(['ERR_MODEL_UNSUPPORTED', 'checkpoint', /The refiner .* has no text encoder/] as const),
    ],
    [
      'modules that are none',
      {},
      (checkpoint) => ({ checkpoint, modules: [vae, bare] }),
      ...(['ERR_MODEL_UNSUPPORTED', 'modules[1]', /no module of a model/] as const),
    ],
    [
      'text encoders of another kind',
      { architecture: 'SD 2.x' },
      (checkpoint) => ({ checkpoint, modules: 'same' }),
      ...(['ERR_INVALID_OPTION', 'modules', /text encoders/] as const),
    ],
    [
      'no step of its own',
      {},
      (checkpoint) => ({ checkpoint, switchAt: 0.95 }),
      ...(['ERR_INVALID_OPTION', 'switchAt', /at most 0.9 for 10 steps/] as const),
    ],
    [
      'no step before it',
      {},
      (checkpoint) => ({ checkpoint, switchAt: 0 }),
      ...(['ERR_INVALID_OPTION', 'switchAt', /more than 0/] as const),
    ],
    ['no checkpoint', {}, () => ({ switchAt: 0.5 }), 'ERR_INVALID_OPTION', 'checkpoint', /refiner.checkpoint/],
    ['a misspelt option', {}, (checkpoint) => ({ checkpoint, switch: 1 }), 'ERR_INVALID_OPTION', 'switch', /switchAt/],
  ])('is refused before anything is sampled, in either pass: %s', async (_name, second, refiner, code, field, text) => {
    const two = await models(second);
    const given = refiner(two.b) as { checkpoint: string };
    for (const [job, within] of [
      [{ ...request, refiner: given }, 'refiner.'],
      [{ ...request, hires: { refiner: given } }, 'hires.refiner.'],
    ] as const) {
      const error = await two.model.txt2img(job).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code, field: `${within}${field}`, message: expect.stringMatching(text) as string });
      await expect(two.model.plan(job)).rejects.toMatchObject({ code });
    }
    expect(two.fake.of('sample')).toHaveLength(0);
    expect(two.fake.of('loadModel')).toHaveLength(1);
    await two.model.txt2img(request);
  });

  it('of a hires pass without steps', async () => {
    const two = await models();
    const job = { ...request, hires: { denoisingStrength: 0, refiner: { checkpoint: two.b } } };
    await expect(two.model.txt2img(job)).rejects.toMatchObject({ field: 'hires.refiner.switchAt' });
  });

  it.each(['loadModel', 'encodePrompt', 'sample', 'decodeLatent'] as const)(
    'fails in %s: the next job runs, with or without it',
    async (op) => {
      const two = await models();
      const job = { ...request, refiner: { checkpoint: two.b } };
      const from = two.fake.of(op).length + { loadModel: 0, encodePrompt: 2, sample: 1, decodeLatent: 0 }[op];
      two.fake.events = (what) => {
        if (what === op && two.fake.of(op).length > from) {
          two.fake.events = () => [];
          two.fake.of(op).at(-1)?.fail('ERR_ENGINE', 'broken');
        }
        return [];
      };
      await expect(two.model.txt2img(job)).rejects.toMatchObject({ code: 'ERR_ENGINE' });
      expect((await two.model.txt2img(job)).images).toHaveLength(1);
      expect((await two.model.txt2img(request)).images).toHaveLength(1);
      expect(two.model.queue.length).toBe(0);
    },
  );
});
