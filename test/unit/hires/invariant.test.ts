import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { LoraInput } from '../../../lib/index.js';
import type { NativeSampleParams } from '../../../lib/native/index.js';
import { resolveUpscaler } from '../../../lib/pipeline/hires/upscalers.js';
import { upscaleLatent } from '../../../lib/pipeline/hires/upscaleLatent.js';
import { hiresSize } from '../../../lib/pipeline/hires/size.js';
import { runMode } from '../../../lib/pipeline/modes.js';
import type { Txt2ImgRequest } from '../../../lib/pipeline/request.js';
import { Loras } from '../../../lib/sdk/loras.js';
import { FakeAddon, type FakeCall, fakeSigmas } from '../../support/fakeAddon.js';
import { fakePair, ownOf, type Pair } from '../../support/fakeHires.js';
import { type InWeights, loraTensors, replay, setText, writeLoras } from '../../support/fakeLoras.js';
import { testSeed } from '../../support/random.js';
import { useScratch } from '../../support/scratch.js';

const scratch = useScratch(2 ** 20);
let files: Readonly<Record<'one' | 'two', string>>;
beforeAll(() => {
  files = writeLoras(['one', 'two'], (name) => scratch.path(name));
});

const seed = testSeed('The mode of the second pass');
const names = ['latent', 'latent-bicubic-antialiased', 'latent-nearest', 'lanczos', 'bicubic', 'nearest'] as const;
const seconds = {
  none: { parts: ownOf('first'), second: {} },
  'of the same kind': { parts: ownOf('second'), second: {} },
  'with the VAE and text encoder of the first': {
    parts: { ...ownOf('first'), diffusionModel: 'second' as const },
    second: {},
  },
  'of another kind': { parts: ownOf('second'), second: { architecture: 'Flux', latentChannels: 16, isDit: true } },
} as const;

/** Names of LoRAs with their weights; empty: none, in place of those that would hold else. */
type Drawn = readonly { readonly name: 'one' | 'two'; readonly weight: number }[];
const sets: fc.Arbitrary<Drawn> = fc.uniqueArray(
  fc.record({ name: fc.constantFrom('one', 'two'), weight: fc.constantFrom(0.5, 1) }),
  { maxLength: 2, selector: ({ name }) => name },
);
const listOfSet = (drawn: Drawn): LoraInput[] => drawn.map(({ name, weight }) => ({ path: files[name], weight }));

const edge = fc.constantFrom(64, 128);
const requests = fc.record(
  {
    prompt: fc.constantFrom('a', 'b'),
    negativePrompt: fc.constantFrom('', 'n'),
    width: edge,
    height: edge,
    steps: fc.integer({ min: 1, max: 6 }),
    seed: fc.integer({ min: 1, max: 200 }),
    batchSize: fc.integer({ min: 1, max: 4 }),
    cfgScale: fc.constantFrom(1, 4),
    loras: sets,
    hires: fc.record(
      {
        loras: sets,
        scale: fc.constantFrom(1, 1.5, 2, 3),
        upscaler: fc.constantFrom(...names),
        steps: fc.integer({ min: 0, max: 7 }),
        denoisingStrength: fc.integer({ min: 5, max: 100 }).map((share) => share / 100),
        prompt: fc.constantFrom('', 'p'),
        negativePrompt: fc.constantFrom('', 'm'),
        cfgScale: fc.constantFrom(1, 3),
        seed: fc.integer({ min: 1, max: 200 }),
      },
      { requiredKeys: ['denoisingStrength'] },
    ),
  },
  { requiredKeys: ['prompt', 'width', 'height', 'steps', 'seed', 'batchSize', 'hires'] },
);

function ends(most: number) {
  return fc.record({ how: fc.constantFrom('whole', 'abort', 'fail'), at: fc.integer({ min: 1, max: most }) });
}

type DrawnRequest = typeof requests extends fc.Arbitrary<infer Of> ? Of : never;

const cases = fc.record({
  request: requests,
  second: fc.constantFrom(...(Object.keys(seconds) as (keyof typeof seconds)[])),
  /** Passes that a refiner takes over in. */
  refined: fc.constantFrom('none', 'first', 'second', 'both'),
  compile: fc.constantFrom('never', 'once', 'always'),
  /** Native calls, counted from 1, at which weights leave memory; and one that is aborted or fails. */
  drops: fc.uniqueArray(fc.integer({ min: 1, max: 50 }), { maxLength: 5 }),
  end: ends(50),
  /** LoRAs of the model; those that it is given between two jobs, which may not come to its end either. */
  base: sets,
  next: sets,
  change: ends(4),
});

interface Setting {
  readonly second: keyof typeof seconds;
  readonly compile: string;
}

interface World {
  readonly fake: FakeAddon;
  readonly pair: Pair;
}

/** Every cell tells which image it is of, the first one as a whole number. */
function result(shape: readonly number[], seed: number) {
  const cells = shape.reduce((a, b) => a * b, 1);
  return { shape, data: Float32Array.from({ length: cells }, (_, index) => seed + (index % 7) / 8) };
}

function world({ second, compile }: Setting): World {
  const fake = new FakeAddon({
    tensors: loraTensors,
    encodes: (image) => image.data[0] ?? 0,
    samples: ({ latent, seed: own, stopAfter }) =>
      result(stopAfter > 0 ? [stopAfter, ...latent.shape.slice(1)] : latent.shape, own),
  });
  const { parts, second: info } = seconds[second];
  const pair = fakePair(fake, {
    parts,
    second: info,
    keeps: compile === 'once',
    // Drops all weights and hands back another object each time, as a backend that recompiles does.
    ...(compile === 'never'
      ? {}
      : {
          compile: async (_key, native, { residents }) => {
            await Promise.all(residents.map((resident) => resident.drop()));
            return { ...native };
          },
        }),
  });
  return { fake, pair };
}

/** LoRAs get their files only when these are written. */
function withFiles({ loras, hires, ...request }: DrawnRequest): Txt2ImgRequest {
  const { loras: own, ...rest } = hires;
  return {
    ...{ ...request, ...(loras === undefined ? {} : { loras: listOfSet(loras) }) },
    hires: { ...rest, ...(own === undefined ? {} : { loras: listOfSet(own) }) },
  };
}

const setBase = ({ pair }: World, base: Drawn, signal?: AbortSignal) =>
  new Loras(pair.model).set(listOfSet(base), { signal });

function draw(
  { pair }: World,
  { hires, ...request }: Txt2ImgRequest,
  second: keyof typeof seconds,
  signal?: AbortSignal,
) {
  const checkpoint = second === 'none' ? {} : { checkpoint: '/b.safetensors' };
  return runMode(pair.model, 'txt2img', { ...request, hires: { ...hires, ...checkpoint }, signal });
}

/** Everything about a sampling but the handles of conditionings, which are named by their prompts. */
function plain({ params, model }: FakeCall<'sample'>, { roles }: Pair, loras: InWeights) {
  const { cond, uncond, latent, predictions, sigmas, slgLayers, ...rest } = params as NativeSampleParams & {
    cond: { prompt: string };
    uncond: { prompt: string } | null;
  };
  return {
    ...{ ...rest, loras },
    role: roles.get(model),
    prompts: [cond.prompt, uncond?.prompt ?? null],
    latent: { shape: latent.shape, bytes: digest(latent.data) },
    predictions: predictions === null ? null : { shape: predictions.shape, bytes: digest(predictions.data) },
    sigmas: [...sigmas],
    slgLayers: [...slgLayers],
  };
}

/** Comparing 36,000 numbers one by one takes long. */
function digest({ buffer, byteOffset, byteLength }: Float32Array): string {
  return createHash('sha1')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
}

const filled = (shape: readonly number[], value: number): string =>
  digest(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value));

type Sampled = ReturnType<typeof plain>;

/** Says of every sampling what it must be, from the request alone; a job that ended early has fewer. */
function checkSamplings(list: readonly Sampled[], request: Txt2ImgRequest, setting: Setting, base: Drawn): void {
  const { width = 0, height = 0, steps = 0, seed: lowest = 0, batchSize = 1, hires = {} } = request;
  const other = setting.second === 'of another kind';
  const channels = other ? 16 : 4;
  const size = hiresSize({ width, height }, hires, { sizeMultiple: 64, scaleFactor: 8 });
  const sets = wantedSets(request, other, listOfSet(base));
  const asked = resolveUpscaler(hires.upscaler ?? (other ? 'lanczos' : 'latent'));
  for (const [index, sampled] of list.entries()) {
    const image = index % batchSize;
    const wanted = sets[index < batchSize ? 'first' : 'second'];
    expect(sampled.loras).toEqual({ diffusionModel: wanted, textEncoder: sampled.loras.textEncoder.map(() => wanted) });
    if (index < batchSize) {
      expect(sampled.role).toBe('first');
      expect(sampled.seed).toBe(lowest + image);
      expect(sampled.latent.shape).toEqual([1, 4, height / 8, width / 8]);
      expect(sampled.latent.bytes).toBe(filled(sampled.latent.shape, 0));
      expect(sampled.sigmas).toEqual([...fakeSigmas(steps)]);
      expect(sampled.prompts).toEqual([request.prompt, request.cfgScale === 1 ? null : (request.negativePrompt ?? '')]);
      continue;
    }
    expect(sampled.role).toBe(setting.second === 'none' ? 'first' : 'second');
    expect(sampled.seed).toBe((hires.seed ?? lowest) + image);
    // The end of a longer schedule: of fake levels n, n - 1, …, 0 these.
    const run = hires.steps === undefined || hires.steps === 0 ? steps : hires.steps;
    expect(sampled.sigmas).toEqual(Array.from({ length: run + 1 }, (_, place) => run - place));
    expect(sampled.latent.shape).toEqual([1, channels, size.height / 8, size.width / 8]);
    expect(sampled.prompts[0]).toBe(hires.prompt || request.prompt);
    if (sampled.prompts[1] !== null)
      expect(sampled.prompts[1]).toBe(hires.negativePrompt || (request.negativePrompt ?? ''));
    const first = list[image];
    if (first === undefined) throw new Error('A second pass without a first');
    if (asked.kind === 'latent' && !other) {
      const enlarged = upscaleLatent(result(first.latent.shape, first.seed), size, asked.mode, 8);
      expect(sampled.latent.bytes).toBe(digest(enlarged.data));
    } else expect(sampled.latent.bytes).toBe(filled(sampled.latent.shape, first.seed));
  }
}

/** The LoRAs of each pass: its own; else those of the job, in a model of the same kind; else those of the model. */
function wantedSets({ loras, hires }: Txt2ImgRequest, isOtherKind: boolean, base: readonly LoraInput[]) {
  const first = loras ?? base;
  return { first: setText(first), second: setText(hires?.loras ?? (isOtherKind ? [] : first)) };
}

const at = { checkpoint: '/r.safetensors', switchAt: 0.5 };

/** With steps enough for two models in each pass. */
function withRefiners(request: Txt2ImgRequest, refined: string): Txt2ImgRequest {
  const hires = { ...request.hires, steps: (request.hires?.steps ?? 0) + 2 };
  const [first, second] = ['first', 'second'].map((pass) => refined === pass || refined === 'both');
  return {
    ...{ ...request, steps: (request.steps ?? 0) + 1, hires: second === true ? { ...hires, refiner: at } : hires },
    ...(first === true ? { refiner: at } : {}),
  };
}

/** The samplings as if there were no refiners, and each refiner's checked: it goes on with what was begun for its image. */
function withoutRefiners(list: readonly Sampled[], { batchSize = 1, refiner, hires }: Txt2ImgRequest): Sampled[] {
  const whole: Sampled[] = [];
  for (const [pass, part] of [refiner, hires?.refiner].entries()) {
    const from = pass === 0 ? 0 : batchSize * (refiner === undefined ? 1 : 2);
    const begun = list.slice(from, from + batchSize);
    whole.push(...begun.map((sampled) => ({ ...sampled, stopAfter: 0 })));
    if (part === undefined) continue;
    for (const [image, sampled] of list.slice(from + batchSize, from + 2 * batchSize).entries()) {
      const before = begun[image];
      if (before === undefined) throw new Error('A refiner without a run to go on with');
      expect(before.stopAfter).toBe(Math.ceil((before.sigmas.length - 1) / 2));
      const { shape, data } = result([before.stopAfter, ...before.latent.shape.slice(1)], before.seed);
      const predictions = { shape, bytes: digest(data) };
      expect(sampled).toEqual({ ...before, role: 'second', stopAfter: 0, predictions });
    }
  }
  return whole;
}

function listOf({ fake, pair }: World, from = 0): Sampled[] {
  const loras = replay(fake);
  return fake
    .of('sample')
    .map((call, index) => plain(call, pair, loras[index] ?? { diffusionModel: '?', textEncoder: [] }))
    .slice(from);
}

/** What one job of a model with these LoRAs samples when nothing gets in its way; checked. */
async function calmly(request: Txt2ImgRequest, second: keyof typeof seconds, base: Drawn, passes: number) {
  const calm = world({ second, compile: 'never' });
  await setBase(calm, base);
  await draw(calm, request, second);
  const list = listOf(calm);
  expect(list).toHaveLength(passes * (request.batchSize ?? 1));
  checkSamplings(withoutRefiners(list, request), request, { second, compile: 'never' }, base);
  return list;
}

/** Lets the calls of a world be counted, dropped, aborted and failed, until `calm`. */
function disturb({ fake, pair }: World, drops: readonly number[], end: { how: string; at: number }) {
  const controller = new AbortController();
  const reason = new Error('enough');
  let calls = 0;
  fake.events = (op) => {
    // Memory is counted beside the work.
    if (op === 'weightsMemory') return [];
    calls++;
    if (drops.includes(calls)) for (const resident of pair.residents) void resident.drop();
    if (end.how === 'whole' || calls !== end.at) return [];
    if (end.how === 'abort') controller.abort(reason);
    else fake.calls.findLast(({ op }) => op !== 'weightsMemory')?.fail('ERR_ENGINE', 'broken');
    return [];
  };
  return {
    signal: controller.signal,
    /** Whether it was ended before its time, and that it has said so. */
    calm: (outcome: unknown): boolean => {
      fake.events = () => [];
      const ended = end.how !== 'whole' && calls >= end.at;
      if (!ended) expect(outcome).not.toBeInstanceOf(Error);
      else if (end.how === 'abort') expect(outcome).toBe(reason);
      else expect(outcome).toMatchObject({ code: 'ERR_ENGINE' });
      return ended;
    },
  };
}

describe('the second pass', () => {
  it('is img2img over the result of the first with its own LoRAs, whatever happens between them', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ request: drawn, refined, second, compile, drops, end, base, next, change }) => {
        const plainRequest = withFiles(drawn);
        const request = refined === 'none' ? plainRequest : withRefiners(plainRequest, refined);
        const passes = { none: 2, first: 3, second: 3, both: 4 }[refined];
        const wanted = await calmly(request, second, base, passes);

        const wild = world({ second, compile });
        await setBase(wild, base);
        const job = disturb(wild, drops, end);
        const outcome = await draw(wild, request, second, job.signal).catch((error: unknown) => error);
        const ended = job.calm(outcome);
        if (!ended) expect(outcome).toHaveProperty('images.length', request.batchSize);
        const made = listOf(wild);
        expect(made).toEqual(ended ? wanted.slice(0, made.length) : wanted);

        // What a job left behind is no part of the next, nor is a change of LoRAs that did not come to its end.
        const changing = disturb(wild, drops, change);
        const changed = await setBase(wild, next, changing.signal).catch((error: unknown) => error);
        const set = changing.calm(changed) ? base : next;
        const before = wild.fake.of('sample').length;
        await draw(wild, request, second);
        expect(listOf(wild, before)).toEqual(await calmly(request, second, set, passes));
      }),
      { seed, numRuns: 250, endOnFailure: true },
    );
  });
});
