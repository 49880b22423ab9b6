import { afterAll, describe, expect, it } from 'vitest';
import type { HiresOptions, Txt2ImgRequest } from '../../../lib/index.js';
import { flux, history, twoModels, type TwoModels } from '../../support/fakeCheckpoints.js';
import { fakeFile } from '../../support/fakeFiles.js';
import { badFixture } from './badCheckpoints.js';

const request = { prompt: 'x', width: 64, height: 64, steps: 2, seed: 1 };
const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose())));

async function models(...given: Parameters<typeof twoModels>): Promise<TwoModels> {
  const two = await twoModels(...given);
  made.push(two);
  return two;
}

/** What the second sampling of one picture gets. */
async function second(
  given: Partial<Txt2ImgRequest>,
  info?: Parameters<typeof twoModels>[0],
): Promise<Record<string, unknown>> {
  const two = await models(info);
  const hires = { ...given.hires, ...(info === undefined ? {} : { checkpoint: two.b }) };
  await two.model.txt2img({ ...request, ...given, hires });
  const { params } = two.fake.of('sample')[1] ?? {};
  const schedule = two.fake.of('sigmas').at(-1)?.params.schedule;
  return {
    ...params,
    schedule,
    prompts: [params?.cond, params?.uncond].map((c) => (c as { prompt?: string } | null)?.prompt),
  };
}

const first = {
  sampler: 'dpm++2m',
  schedule: 'karras',
  cfgScale: 5,
  steps: 4,
  eta: 0.5,
  negativePrompt: 'n',
} as const;

describe('what the second pass takes from the first', () => {
  it('is everything that is not given', async () => {
    expect(await second({ ...first, hires: {} })).toMatchObject({
      ...{ sampler: 'dpm++2m', schedule: 'karras', cfgScale: 5, eta: 0.5, seed: 1, prompts: ['x', 'n'] },
    });
    expect((await second({ ...first, hires: {} }))['sigmas']).toHaveLength(5);
  });

  it('is not what is given', async () => {
    const hires = { sampler: 'euler', cfgScale: 2, steps: 3, seed: 9, prompt: 'y', negativePrompt: 'm' };
    const params = await second({ ...first, hires });
    expect(params).toMatchObject({ sampler: 'euler', cfgScale: 2, seed: 9, prompts: ['y', 'm'] });
    // A sampler of its own has its own schedule, unless one is given.
    expect(params['schedule']).toBe('discrete');
    expect(params['sigmas']).toHaveLength(4);
    expect((await second({ ...first, hires: { ...hires, schedule: 'karras' } }))['schedule']).toBe('karras');
    expect((await second({ ...first, hires: { schedule: 'exponential' } }))['sampler']).toBe('dpm++2m');
    expect((await second({ ...first, hires: { sampler: 'DPM++ 2M Karras' } }))['schedule']).toBe('karras');
  });

  it('is the sampler and the CFG scale in another checkpoint of its kind, SDXL included', async () => {
    const wanted = { sampler: 'dpm++2m', schedule: 'karras', cfgScale: 5, eta: 0.5, prompts: ['x', 'n'] };
    expect(await second({ ...first, hires: {} }, {})).toMatchObject(wanted);
    expect(await second({ ...first, hires: {} }, { architecture: 'SDXL', isSdxl: true })).toMatchObject(wanted);
  });

  it('is neither in a model of another kind, which has its own defaults', async () => {
    const params = await second({ ...first, guidance: 9, clipSkip: 2, hires: {} }, flux);
    // FLUX: no guidance by a second evaluation, distilled guidance 3.5.
    expect(params).toMatchObject({
      sampler: 'euler',
      schedule: 'discrete',
      cfgScale: 1,
      guidance: 3.5,
      prompts: ['x', undefined],
    });
    expect(params['eta']).toBeNaN();
    expect(params['sigmas']).toHaveLength(5);
    const given = await second({ ...first, hires: { cfgScale: 2, sampler: 'heun', guidance: 5 } }, flux);
    // The negative prompt stays in force.
    expect(given).toMatchObject({ sampler: 'heun', cfgScale: 2, guidance: 5, prompts: ['x', 'n'] });
  });

  it('has no noise levels of the first, which were for its size', async () => {
    const params = await second({ sigmas: [9, 4, 1, 0], hires: { denoisingStrength: 0.5 } });
    expect([...(params['sigmas'] as Float32Array)]).toEqual([3, 2, 1, 0]);
  });

  it('of strength 0 is the enlarged picture: nothing is sampled', async () => {
    for (const upscaler of ['latent', 'lanczos']) {
      const two = await models();
      const fractions: number[] = [];
      const { images } = await two.model.txt2img({
        ...request,
        hires: { denoisingStrength: 0, upscaler },
        onProgress: ({ fraction }) => void fractions.push(fraction),
      });
      expect(images[0]).toMatchObject({ width: 128, height: 128 });
      expect(two.fake.of('sample')).toHaveLength(1);
      expect(fractions.at(-1)).toBe(1);
    }
  });

  it('batches: the seeds of the first, or its own and on', async () => {
    const two = await models();
    await two.model.txt2img({ ...request, batchSize: 3, hires: { seed: 50 } });
    expect(two.fake.of('sample').map(({ params }) => params.seed)).toEqual([1, 2, 3, 50, 51, 52]);
  });
});

describe('the way from latent to latent', () => {
  const upscaled = async (
    upscaler: string | undefined,
    info: object,
    more: HiresOptions = {},
  ): Promise<{ way: string[]; codes: string[] }> => {
    const two = await models(info);
    const hires = { ...more, checkpoint: two.b, ...(upscaler === undefined ? {} : { upscaler }) };
    const { warnings } = await two.model.txt2img({ ...request, hires });
    return { way: history(two, ['decodeLatent', 'encodeImages']), codes: warnings.map(({ code }) => code) };
  };
  const latent = ['decodeLatent b'];
  const pixels = ['decodeLatent a', 'encodeImages b', 'decodeLatent b'];

  it('is direct where both speak of the same space', async () => {
    expect(await upscaled(undefined, {})).toEqual({ way: latent, codes: [] });
    expect(await upscaled('latent-bicubic', { architecture: 'SD 2.x' })).toEqual({ way: latent, codes: [] });
  });

  it('leads over pixels where not, with a warning when latents were asked for', async () => {
    expect(await upscaled(undefined, flux)).toEqual({ way: pixels, codes: [] });
    expect(await upscaled('lanczos', flux)).toEqual({ way: pixels, codes: [] });
    expect(await upscaled('latent', flux)).toEqual({ way: pixels, codes: ['upscaler'] });
    // Four channels as well, other numbers.
    expect(await upscaled('latent', { architecture: 'SDXL', isSdxl: true })).toEqual({
      way: pixels,
      codes: ['upscaler'],
    });
  });

  it('is an error under strict', async () => {
    const two = await models(flux);
    await expect(
      two.model.txt2img({ ...request, hires: { checkpoint: two.b, upscaler: 'latent', strict: true } }),
    ).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'hires.upscaler' });
    expect(two.fake.of('sample')).toHaveLength(0);
  });

  it('needs an encoder only over pixels', async () => {
    const two = await models({}, { info: { canEncodeImages: false } });
    await two.model.txt2img({ ...request, hires: {} });
    await expect(two.model.txt2img({ ...request, hires: { upscaler: 'lanczos' } })).rejects.toMatchObject({
      ...{ code: 'ERR_MODEL_UNSUPPORTED', field: 'hires.upscaler' },
    });
    await expect(
      two.model.txt2img({ ...request, hires: { checkpoint: two.b, upscaler: 'nearest' } }),
    ).rejects.toMatchObject({
      ...{ code: 'ERR_MODEL_UNSUPPORTED', field: 'hires.upscaler' },
    });
    expect(two.fake.of('sample')).toHaveLength(2);
  });

  it('an upscaler model is read once, and enlarges every picture', async () => {
    const two = await models();
    const hires = { upscaler: { file: fakeFile('esrgan', ['upscaler']) } };
    await two.model.txt2img({ ...request, batchSize: 2, hires });
    await two.model.txt2img({ ...request, hires: { ...hires, scale: 3 } });
    expect(two.fake.of('loadUpscaler')).toHaveLength(1);
    // Of 64 pixels to 192 the fake model of scale 2 needs two runs.
    expect(two.fake.of('upscale').map(({ params }) => params.image.width)).toEqual([64, 64, 64, 128]);
    expect(two.fake.of('encodeImages').map(({ params }) => params.images[0]?.image.width)).toEqual([128, 128, 192]);
  });
});

describe('what cannot be', () => {
  it.each<readonly [object, string, string]>([
    [{ checkpoint: '/no/such.safetensors' }, 'ERR_MODEL_NOT_FOUND', 'hires.checkpoint'],
    [{ checkpoint: badFixture('text') }, 'ERR_MODEL_UNSUPPORTED', 'hires.checkpoint'],
    [{ checkpoint: badFixture('cut') }, 'ERR_MODEL_CORRUPT', 'hires.checkpoint'],
    [{ checkpoint: fakeFile('up', ['upscaler']) }, 'ERR_MODEL_UNSUPPORTED', 'hires.checkpoint'],
    [{ checkpoint: 7 }, 'ERR_INVALID_OPTION', 'hires.checkpoint'],
    [{ width: 100 }, 'ERR_INVALID_OPTION', 'hires.width'],
    [{ width: 64, height: 9000 }, 'ERR_INVALID_OPTION', 'hires.height'],
    [{ height: 32 }, 'ERR_INVALID_OPTION', 'hires.height'],
    [{ scale: 0.5 }, 'ERR_INVALID_OPTION', 'hires.scale'],
    [{ scale: 2, width: 128 }, 'ERR_INVALID_OPTION', 'hires.scale'],
    [
      { scale: 64, width: undefined, upscaler: 'latent', steps: 1, denoisingStrength: 1.01 },
      'ERR_INVALID_OPTION',
      'hires.denoisingStrength',
    ],
    [{ denoisingStrength: -0.1 }, 'ERR_INVALID_OPTION', 'hires.denoisingStrength'],
    [{ denoisingStrength: NaN }, 'ERR_INVALID_OPTION', 'hires.denoisingStrength'],
    [{ denoisingStrength: 0.0001, steps: 5 }, 'ERR_INVALID_OPTION', 'hires.steps'],
    [{ steps: -1 }, 'ERR_INVALID_OPTION', 'hires.steps'],
    [{ upscaler: 'latant' }, 'ERR_INVALID_OPTION', 'hires.upscaler'],
    [{ upscaler: 'R-ESRGAN 4x+' }, 'ERR_INVALID_OPTION', 'hires.upscaler'],
    [{ upscaler: '/no/such.pth' }, 'ERR_MODEL_NOT_FOUND', 'hires.upscaler'],
    [{ upscaler: { file: fakeFile('notup', ['soleVae']) } }, 'ERR_MODEL_UNSUPPORTED', 'hires.upscaler'],
    [{ loras: [{ path: '/no/such.safetensors' }] }, 'ERR_MODEL_NOT_FOUND', 'hires.loras[0]'],
    [{ prompt: 'y <lora:none:1>' }, 'ERR_MODEL_NOT_FOUND', 'hires.prompt'],
    [{ prompt: 7 }, 'ERR_INVALID_PROMPT', 'hires.prompt'],
    [{ sampler: 'eular' }, 'ERR_INVALID_OPTION', 'hires.sampler'],
    [{ denoise: 0.4 }, 'ERR_INVALID_OPTION', 'hires.denoise'],
    [{ seed: -1 }, 'ERR_INVALID_OPTION', 'hires.seed'],
  ])('%o: a typed error before the first step, and the next job runs', async (hires, code, field) => {
    const two = await models();
    const error: unknown = await two.model
      .txt2img({ ...request, hires: hires as never })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code, field });
    expect(two.fake.of('sample')).toHaveLength(0);
    const planned: unknown = await two.model
      .plan({ ...request, hires: hires as never })
      .catch((reason: unknown) => reason);
    expect(planned).toMatchObject({ code, field });
    expect((await two.model.txt2img({ ...request, hires: {} })).images).toHaveLength(1);
  });

  it('names file and option of whatever the engine finds wrong with a checkpoint', async () => {
    const two = await models();
    two.fake.events = (op) => {
      if (op === 'measureLoad') two.fake.calls.at(-1)?.fail('ERR_MODEL_UNSUPPORTED', '34 tensors are missing.');
      return [];
    };
    const error: unknown = await two.model
      .txt2img({ ...request, hires: { checkpoint: two.b } })
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      ...{ code: 'ERR_MODEL_UNSUPPORTED', field: 'hires.checkpoint', given: two.b },
      message: `The model "${two.b}" cannot be loaded: 34 tensors are missing.`,
    });
    expect(two.fake.of('sample')).toHaveLength(0);
    two.fake.events = () => [];
    expect((await two.model.txt2img({ ...request, hires: { checkpoint: two.b } })).images).toHaveLength(1);
  });
});
