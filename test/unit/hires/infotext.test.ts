import { basename, dirname } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { buildInfotext, infotextToMode, infotextToRequest, type Txt2ImgRequest } from '../../../lib/index.js';
import { draftRequest } from '../../../lib/pipeline/draft.js';
import { checkRequest, runMode } from '../../../lib/pipeline/modes.js';
import type { Plan } from '../../../lib/pipeline/plan.js';
import { FakeAddon } from '../../support/fakeAddon.js';
import { flux, twoModels } from '../../support/fakeCheckpoints.js';
import { fakePair, ownOf } from '../../support/fakeHires.js';
import { fakeFile } from '../../support/fakeFiles.js';
import { testSeed } from '../../support/random.js';

const seed = testSeed('Infotext of two passes');
const samplers = fc.constantFrom('euler', 'euler_a', 'dpm++2m', 'lcm', 'ddim_trailing', 'DPM++ 2M Karras');
const schedules = fc.constantFrom('discrete', 'karras', 'exponential', 'simple');
const text = fc.constantFrom('a cat', 'a, "b": c', 'line one\nline two', ' x ', 'Steps: 20, Sampler: no');
const model = fakeFile('4x, "Ultra" Sharp', ['upscaler']);
const [checkpoint, refiner, vae] = ['/models/b, "c".safetensors', '/models/r_1.0.ckpt', '/models/vae: 2.safetensors'];
/** Where the files are that texts have the names of. */
const files = (name: string): string | undefined =>
  [model, checkpoint, refiner, vae].find((path) => path.replace(/\.[a-z]+$/, '').endsWith(`/${name}`));

const atTimesteps = { switchAt: 0.8, switchBy: 'timesteps' } as const;

const refiners = fc.record(
  {
    checkpoint: fc.constantFrom(refiner, checkpoint),
    switchAt: fc.constantFrom(0.25, 0.5),
    modules: fc.constantFrom<'same' | 'built-in' | string[]>('built-in', [vae], [vae, refiner]),
  },
  { requiredKeys: ['checkpoint'] },
);

const hires = fc.record(
  {
    scale: fc.constantFrom(1, 1.25, 1.5, 2, 3),
    upscaler: fc.constantFrom<NonNullable<NonNullable<Txt2ImgRequest['hires']>['upscaler']>>(
      ...['latent', 'latent-nearest-exact', 'latent-bicubic-antialiased', 'lanczos', 'nearest', 'None', model],
      { file: model, tileSize: 64 },
    ),
    steps: fc.integer({ min: 0, max: 20 }),
    denoisingStrength: fc.integer({ min: 0, max: 100 }).map((share) => share / 100),
    prompt: text,
    negativePrompt: text,
    sampler: samplers,
    schedule: schedules,
    cfgScale: fc.constantFrom(1, 2.5, 7),
    guidance: fc.constantFrom(2, 3.5),
    clipSkip: fc.integer({ min: 1, max: 3 }),
    seed: fc.integer({ min: 0, max: 2 ** 40 }),
    refiner: refiners,
  },
  { requiredKeys: ['denoisingStrength'] },
);

const requests = fc.record(
  {
    prompt: text,
    negativePrompt: text,
    width: fc.constantFrom(64, 128),
    height: fc.constantFrom(64, 192),
    steps: fc.integer({ min: 1, max: 9 }),
    seed: fc.integer({ min: 0, max: 2 ** 40 }),
    cfgScale: fc.constantFrom(1, 4),
    sampler: samplers,
    schedule: schedules,
    clipSkip: fc.integer({ min: 1, max: 3 }),
    eta: fc.constantFrom(0.25, 1),
    refiner: fc.oneof(
      refiners,
      // The fake's noise levels of a run are the last ones of its 1000.
      refiners.map((one) => ({ ...one, switchAt: 0.998, switchBy: 'timesteps' as const })),
    ),
    hires: fc.oneof(
      hires,
      // Edges in place of the scale, one alone or both.
      fc
        .tuple(
          hires,
          fc.constantFrom({ width: 256 }, { height: 384 }, { width: 256, height: 256 }, { width: 192, height: 384 }),
        )
        .map(([{ scale: _scale, ...rest }, size]) => ({ ...rest, ...size })),
    ),
  },
  { requiredKeys: ['prompt', 'width', 'height', 'steps', 'seed', 'hires'] },
);

/** With steps enough for a refiner in either pass. */
function roomy<T extends { steps: number; hires: { steps?: number; denoisingStrength: number } }>(request: T): T {
  const { hires: second } = request;
  const own = second.steps === undefined || second.steps === 0 ? {} : { steps: second.steps + 4 };
  const denoisingStrength = Math.max(0.01, second.denoisingStrength);
  return { ...request, steps: request.steps + 4, hires: { ...second, ...own, denoisingStrength } };
}

/** The passes; distilled guidance counts only where the model has it. */
function decided({ passes }: Plan, guided: boolean): unknown {
  return passes.map(({ sampling: { guidance, ...sampling }, ...pass }) => [pass, sampling, guided ? guidance : null]);
}

describe('infotext of two passes', () => {
  it.each([
    ['one model', ownOf('first'), {}],
    ['a second checkpoint', ownOf('second'), {}],
    ['a second checkpoint of another kind', ownOf('second'), { ...flux, sizeMultiple: 64 }],
  ] as const)('reads back to an equal plan: %s', { timeout: 60_000 }, async (_name, parts, second) => {
    const pair = fakePair(new FakeAddon(), { parts, second });
    const other = parts.diffusionModel === 'second' ? { checkpoint } : {};
    const planOf = async (request: unknown): Promise<Plan> => {
      const checked = checkRequest('txt2img', request, pair.model.facts);
      return (await draftRequest(pair.model, 'txt2img', checked, false, undefined)).plan;
    };
    await fc.assert(
      fc.asyncProperty(requests, async (given) => {
        const whole = { ...given, hires: { ...given.hires, ...other } };
        const request = 'refiner' in whole || 'refiner' in whole.hires ? roomy(whole) : whole;
        const { images } = await runMode(pair.model, 'txt2img', request);
        const infotext = images[0]?.infotext ?? '';
        expect(infotextToMode(infotext)).toBe('txt2img');
        const back = infotextToRequest(infotext, { mode: 'txt2img', files });
        expect(infotext).not.toContain('/models/');
        const wanted = decided(await planOf(request), 'isDit' in second);
        expect(decided(await planOf(back), 'isDit' in second)).toEqual(wanted);
        // The parameters are a request as well.
        const { mode: _mode, ...parameters } = images[0]?.parameters ?? {};
        expect(decided(await planOf(parameters), 'isDit' in second)).toEqual(wanted);
      }),
      { seed, numRuns: 200, endOnFailure: true },
    );
  });

  it('names modules and checkpoint so that they are found again', async () => {
    const two = await twoModels();
    afterAll(() => two.runtime.dispose());
    const own = fakeFile('vae, "new"', ['soleVae']);
    const found = Object.fromEntries([two.b, own].map((path) => [basename(path), path]));
    for (const modules of ['same', 'built-in', [own]] as const) {
      const asked = { prompt: 'x', width: 64, height: 64, steps: 1, seed: 1, hires: { checkpoint: two.b, modules } };
      const { images } = await two.model.txt2img(asked);
      const infotext = images[0]?.infotext ?? '';
      expect(infotextToRequest(infotext, { files: found })).toMatchObject({ hires: { checkpoint: two.b, modules } });
      expect(infotext).not.toContain(dirname(two.b));
      // Nobody says where it is.
      expect(() => infotextToRequest(infotext)).toThrow(/"infotext.Hires checkpoint".*files: \{ "b-\d+": /);
      const { hires: rest } = infotextToRequest(infotext, { strict: false });
      expect(rest).toMatchObject({ scale: 2 });
      expect(rest).not.toHaveProperty('checkpoint');
      expect(rest).not.toHaveProperty('modules');
    }
  });

  it('of a name that ends like a hash or a version, in a directory or not, with an ending or not', () => {
    const text = (name: string): string =>
      `x\nSteps: 20, Sampler: Euler, Seed: 5, Size: 64x64, Hires upscale: 2, Hires upscaler: Latent, Hires checkpoint: ${name}`;
    const read = (name: string, known: Record<string, string>): unknown =>
      infotextToRequest(text(name), { files: known }).hires?.checkpoint;
    const path = '/m/sd_xl_base_1.0.safetensors';
    for (const name of [
      'sd_xl_base_1.0',
      'sd_xl_base_1.0 [31e35c80fc]',
      'sd_xl_base_1.0.safetensors [31e35c80fc]',
      'sub/sd_xl_base_1.0.safetensors',
      'sub\\sd_xl_base_1.0',
    ])
      for (const key of ['sd_xl_base_1.0', 'sd_xl_base_1.0.safetensors'])
        expect(read(name, { [key]: path })).toBe(path);
    expect(() => read('sd_xl_base_1', { 'sd_xl_base_1.0': path })).toThrow(/Hires checkpoint/);
    expect(read('/there/is/it.ckpt', {})).toBe('/there/is/it.ckpt');
    const asked: string[] = [];
    infotextToRequest(text('b [abcdef]'), { files: (name) => (asked.push(name), path) });
    expect(asked).toEqual(['b']);
  });
});

describe('texts of others', () => {
  it("A1111's", () => {
    const infotext = [
      'a cat <lora:one:0.5>',
      'Negative prompt: blurry',
      'Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 512x768, Model hash: 6ce0161689, ' +
        'Model: v1-5-pruned-emaonly, Denoising strength: 0.45, Clip skip: 2, Hires upscale: 1.5, Hires steps: 12, ' +
        'Hires upscaler: Latent (bicubic antialiased), Hires sampler: Euler a, Hires schedule type: Automatic, ' +
        'Hires prompt: "a dog, big", Hires negative prompt: bad, Version: v1.10.1',
    ].join('\n');
    const request = infotextToRequest(infotext);
    expect(request).toMatchObject({ sampler: 'dpm++2m', schedule: 'karras', clipSkip: 2, width: 512, height: 768 });
    expect(request).not.toHaveProperty('denoisingStrength');
    expect(request.hires).toEqual({
      ...{ scale: 1.5, steps: 12, upscaler: 'Latent (bicubic antialiased)', denoisingStrength: 0.45 },
      ...{ sampler: 'euler_a', prompt: 'a dog, big', negativePrompt: 'bad' },
    });
  });

  it("A1111's with another sampler only: the schedule of the first pass", () => {
    const infotext =
      'x\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 512x512, ' +
      'Denoising strength: 0.7, Hires upscale: 2, Hires upscaler: Latent, Hires sampler: Euler, Version: v1.10.1';
    expect(infotextToRequest(infotext).hires).toMatchObject({ sampler: 'euler', schedule: 'karras' });
  });

  it("A1111's before schedules had a name of their own, with one edge", () => {
    const infotext =
      'x\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512, Denoising strength: 0.7, ' +
      'Hires resize: 0x1024, Hires upscaler: Latent, Hires sampler: DPM++ 2M Karras, Version: v1.6.0';
    expect(infotextToRequest(infotext).hires).toEqual({
      ...{ height: 1024, upscaler: 'Latent', denoisingStrength: 0.7, sampler: 'dpm++2m', schedule: 'karras' },
    });
  });

  it("Forge's", () => {
    const infotext =
      'x\nSteps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 5, Size: 896x1152, ' +
      'Model: flux1-dev, Denoising strength: 0.7, Hires Module 1: Use same choices, Hires CFG Scale: 1, ' +
      'Hires Distilled CFG Scale: 3, Hires upscale: 2, Hires steps: 10, Hires upscaler: Lanczos, Version: f2.0.1v1.10.1';
    expect(infotextToRequest(infotext).hires).toEqual({
      ...{
        modules: 'same',
        cfgScale: 1,
        guidance: 3,
        scale: 2,
        steps: 10,
        upscaler: 'Lanczos',
        denoisingStrength: 0.7,
      },
    });
    const builtIn = infotext.replace('Use same choices', 'Built-in').replace('Hires upscale: 2', 'Hires upscale: many');
    expect(() => infotextToRequest(builtIn)).toThrow(/Hires upscale/);
    expect(infotextToRequest(builtIn, { strict: false }).hires).toMatchObject({ modules: 'built-in', steps: 10 });
    const two = infotext.replace('Use same choices', 'ae.safetensors, Hires Module 2: t5xxl.safetensors');
    const known = { files: { ae: '/m/ae.safetensors', t5xxl: '/m/t5.safetensors' } };
    expect(infotextToRequest(two, known).hires?.modules).toEqual(['/m/ae.safetensors', '/m/t5.safetensors']);
    expect(() => infotextToRequest(two)).toThrow(/"infotext.Hires Module 1".*"ae": /);
  });

  it.each([
    ['', { checkpoint: '/r' }, undefined],
    ['Hires upscaler: Latent, ', undefined, { checkpoint: '/r' }],
    ['Hires upscaler: Latent, Hires refiner: second pass, ', undefined, { checkpoint: '/r' }],
    ['Hires upscaler: Latent, Hires refiner: first pass, ', { checkpoint: '/r' }, undefined],
    ['Hires upscaler: Latent, Hires refiner: both passes, ', { checkpoint: '/r' }, { checkpoint: '/r' }],
  ])("A1111's with a refiner, %s", (second, first, hires) => {
    const infotext =
      'x\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 1024x1024, ' +
      `${second}Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8, Version: v1.10.1`;
    const request = infotextToRequest(infotext, { files: { 'sd_xl_refiner_1.0': '/r' } });
    expect(request.refiner).toEqual(first === undefined ? undefined : { ...first, ...atTimesteps });
    expect(request.hires?.refiner).toEqual(hires === undefined ? undefined : { ...hires, ...atTimesteps });
    expect(() => infotextToRequest(infotext)).toThrow(/"infotext.Refiner"/);
    expect(infotextToRequest(infotext, { strict: false })).not.toHaveProperty('refiner');
    // A request without a second pass has no part of it.
    const other = infotextToRequest(infotext, { mode: 'img2img', files: () => '/r' });
    expect(other.refiner).toEqual(first === undefined ? undefined : { ...first, ...atTimesteps });
  });

  it.each([
    ['', 'steps'],
    [', Version: v1.10.1', 'timesteps'],
    [', Version: v1.9.4-2-gabc', 'timesteps'],
    [', Version: v1.8.0-RC', 'timesteps'],
    [', Version: v1.7.0', 'steps'],
    [', Version: f2.0.1v1.10.1-previous-659', 'steps'],
    [', Version: node-diffusion 0.1.0', 'steps'],
    [', Refiner switch by sampling steps: True, Version: v1.10.1', 'steps'],
    [', Refiner switch by sampling steps: False, Version: v1.7.0', 'timesteps'],
    [', Refiner switch by sampling steps: False', 'timesteps'],
  ] as const)('"Refiner switch at: 0.7%s" is a share of the %s', (more, switchBy) => {
    const infotext = `x\nSteps: 20, Sampler: Euler, Seed: 5, Refiner: r, Refiner switch at: 0.7${more}`;
    const { refiner: read } = infotextToRequest(infotext, { files: () => '/r' });
    expect(read).toEqual({ checkpoint: '/r', switchAt: 0.7, ...(switchBy === 'steps' ? {} : { switchBy }) });
  });

  it('of two refiners each says how its switch is counted', () => {
    const refined = { checkpoint: '/r', switchAt: 0.5 };
    const hires = { scale: 2, steps: 4, refiner: { ...refined, switchBy: 'timesteps' as const } };
    const text = buildInfotext({ prompt: 'x', width: 64, height: 64, steps: 4, seed: 1, refiner: refined, hires });
    expect(text).toContain('Refiner switch by sampling steps: True');
    expect(text).toContain('Hires refiner switch by sampling steps: False');
    const request = infotextToRequest(text, { files: () => '/r' });
    expect(request.refiner).toMatchObject(refined);
    expect(request.refiner).not.toHaveProperty('switchBy');
    expect(request.hires?.refiner).toMatchObject({ ...refined, switchBy: 'timesteps' });
  });
});
