import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildInfotext,
  createRuntime,
  DiffusionError,
  ensureEmbeddedModel,
  fileSha256,
  GeneratedImage,
  infotextToModel,
  infotextToRequest,
  inspectModel,
  Latent,
  parseInfotext,
  readInfotext,
  type Runtime,
} from '../../lib/index.js';
import { useScratch } from '../support/scratch.js';
import { fakeModel, fakeRuntime, space, tinyCheckpoint, tinyUpscaler } from '../support/fakeModel.js';
import { aborted, loadOptions, modelCalls } from './options/calls.js';
import { affordable, settles } from './options/settle.js';
import { options, wild } from './options/values.js';
import { fuzzSettings } from './settings.js';

const { seed, cases } = fuzzSettings('Option fuzz, fake addon', 300);
const check = (property: fc.IAsyncProperty<unknown>, runs = cases): Promise<void> =>
  Promise.resolve(fc.assert(property, { seed, numRuns: runs, endOnFailure: true }));

const scratch = useScratch(2 ** 20);

describe('a model', async () => {
  const { runtime, model } = await fakeModel();
  afterAll(() => runtime.dispose());

  for (const { name, valid, run } of modelCalls(model)) {
    it(`${name}: success or a DiffusionError`, { timeout: 120_000 }, async () => {
      const seen = new Map<string, number>();
      await check(
        fc.asyncProperty(options(valid), async (given) => {
          const end = await settles(name, () => run(model, affordable(given, 64, 4) as never));
          seen.set(end, (seen.get(end) ?? 0) + 1);
        }) as fc.IAsyncProperty<unknown>,
      );
      // Near-valid means that some pass and some do not.
      if (cases >= 100) expect([...seen.keys()].length).toBeGreaterThan(1);
      expect(await settles(name, () => run(model, { ...valid, signal: aborted } as never))).toBe('aborted');
      expect(model.queue.length).toBe(0);
    });
  }

  it('countTokens: any prompt', async () => {
    await check(
      fc.asyncProperty(wild, async (prompt) => {
        await settles('countTokens', () => model.countTokens(prompt as never));
      }) as fc.IAsyncProperty<unknown>,
    );
  });

  it('dispose: any options', async () => {
    await check(
      fc.asyncProperty(options({ abort: true }), async (given) => {
        const own = await fakeModel();
        await settles('model.dispose', () => own.model.dispose(given as never));
        await settles('runtime.dispose', () => own.runtime.dispose(given as never));
        await own.runtime.dispose();
      }) as fc.IAsyncProperty<unknown>,
      Math.min(cases, 100),
    );
  });
});

describe('a runtime', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    ({ runtime } = await fakeRuntime());
  });
  afterAll(() => runtime.dispose());

  it('createRuntime', async () => {
    const valid = { backend: 'cpu', device: 'CPU', threads: 1, logLevel: 'warn', logger: () => undefined };
    await check(
      fc.asyncProperty(options(valid), async (given) => {
        await settles('createRuntime', async () => {
          const { runtime: own } = await fakeRuntime({ runtime: given as never });
          await own.dispose();
        });
      }) as fc.IAsyncProperty<unknown>,
    );
  });

  it('createRuntime: any binary', async () => {
    await check(
      fc.asyncProperty(wild, async (binary) => {
        fc.pre(binary !== undefined);
        await settles('createRuntime', () => createRuntime({ binary: binary as never }));
      }) as fc.IAsyncProperty<unknown>,
    );
  });

  it('loadModel', async () => {
    const valid = loadOptions(tinyCheckpoint());
    await check(
      fc.asyncProperty(options(valid), async (given) => {
        // Without files it would unpack the embedded model.
        const named =
          typeof given === 'object' && given !== null && 'checkpoint' in given && given.checkpoint !== undefined;
        await settles('estimateLoad', async () => {
          if (named) await runtime.estimateLoad(given as never);
        });
        await settles('loadModel', async () => {
          if (named) await (await runtime.loadModel(given as never)).dispose();
        });
      }) as fc.IAsyncProperty<unknown>,
    );
  });

  it('loadUpscaler and upscale', async () => {
    const valid = {
      file: tinyUpscaler(),
      device: 'CPU',
      threads: 1,
      tileSize: 64,
      convDirect: false,
      offloadToCpu: false,
    };
    const image = { width: 8, height: 8, channels: 3, data: new Uint8Array(192) };
    await check(
      fc.asyncProperty(options(valid), options({ image }), async (given, request) => {
        await settles('loadUpscaler', async () => {
          const upscaler = await runtime.loadUpscaler(given as never);
          await settles('upscaler.estimate', () => upscaler.estimate(request as never));
          await settles('upscale', () => upscaler.upscale(request as never));
          await upscaler.dispose();
        });
      }) as fc.IAsyncProperty<unknown>,
    );
  });
});

describe('functions', () => {
  // The constructors of Model, Runtime, Upscaler and Conditioning are not for callers: they take native objects.
  it.each<readonly [string, (value: never, other: never) => unknown]>([
    ['inspectModel', (value, other) => inspectModel(value, other)],
    ['fileSha256', (value, other) => fileSha256(value, other)],
    ['parseInfotext', (value) => parseInfotext(value)],
    ['infotextToRequest', (value, other) => infotextToRequest(value, other)],
    ['infotextToModel', (value) => infotextToModel(value)],
    ['readInfotext', (value, other) => readInfotext(value, other)],
    ['buildInfotext', (value) => buildInfotext(value)],
    ['Latent.from', (value, other) => Latent.from(value, other, space)],
    ['Latent.from, shape and space', (value, other) => Latent.from(new Float32Array(4), value, other)],
    ['Latent.zeros', (value, other) => Latent.zeros(value, other, space)],
    ['Latent.zeros, space and batch', (value, other) => Latent.zeros(64, 64, value, other)],
    ['Latent.concat', (value) => Latent.concat(value)],
    [
      'new GeneratedImage',
      (value) => Reflect.construct(GeneratedImage, [{ pixels: value, seed: 1, parameters: {}, infotext: '' }]),
    ],
  ])('%s: any arguments', { timeout: 120_000 }, async (name, call) => {
    await check(
      fc.asyncProperty(wild, wild, async (value, other) => {
        await settles(name, () => call(value as never, other as never));
      }) as fc.IAsyncProperty<unknown>,
    );
  });

  it('pictures: encoding and saving', { timeout: 120_000 }, async () => {
    const pixels = { width: 8, height: 8, channels: 3 as const, data: new Uint8Array(192) };
    const image = new GeneratedImage({ pixels, seed: 1, parameters: { prompt: 'x', seed: 1 }, infotext: 'x' });
    const valid = { infotext: true, quality: 50, compression: 1, lossless: false, signal: undefined };
    const names = fc.constantFrom('a.png', 'b.webp', 'c.jpg', 'd.gif', '');
    const seen = new Set<string>();
    await check(
      fc.asyncProperty(options(valid), names, wild, async (given, name, path) => {
        const where = name === '' ? path : scratch.path(name);
        if (typeof where !== 'string' || name !== '')
          seen.add(await settles('save', () => image.save(where as never, given as never)));
        await settles('toPng', () => image.toPng(given as never));
        await settles('toWebp', () => image.toWebp(given as never));
        await settles('toJpeg', () => image.toJpeg(given as never));
      }) as fc.IAsyncProperty<unknown>,
      Math.min(cases, 200),
    );
    expect([...seen].sort()).toEqual(['ERR_INVALID_OPTION', 'ok']);
  });

  it('ensureEmbeddedModel', async () => {
    const seen = new Set<string>();
    await check(
      fc.asyncProperty(options({ signal: aborted, onProgress: () => undefined }), async (given) => {
        // Nothing is written: every signal that is one is aborted, those among the wild values too.
        const own = typeof given === 'object' && given !== null && 'signal' in given ? given.signal : undefined;
        const stopped =
          typeof given === 'object' && given !== null && (own === undefined || own instanceof AbortSignal);
        const list = stopped ? { ...given, signal: aborted } : given;
        if (list === undefined) return;
        seen.add(await settles('ensureEmbeddedModel', () => ensureEmbeddedModel(list as never)));
      }) as fc.IAsyncProperty<unknown>,
    );
    expect([...seen].sort()).toEqual(['ERR_INVALID_OPTION', 'aborted']);
  });

  it('buildInfotext: near-valid', async () => {
    const valid = {
      prompt: 'a',
      negativePrompt: 'b',
      steps: 4,
      seed: 1,
      width: 64,
      height: 64,
      sampler: 'euler',
      cfgScale: 2,
      sigmas: [1, 0],
      tiling: true,
      extra: { Key: 'value' },
    };
    await check(
      fc.asyncProperty(options(valid), async (given) => {
        await settles('buildInfotext', () => buildInfotext(given as never));
      }) as fc.IAsyncProperty<unknown>,
    );
  });

  it('infotext of any text', async () => {
    const pieces = fc.constantFrom(
      'Steps: ',
      '20, ',
      'Sampler: ',
      'Euler a',
      '\nNegative prompt: ',
      'Size: 64x64',
      '"',
      '\\',
      ': ',
      ', ',
      'Seed: NaN',
      '{',
      '1e999',
      '\u0000',
      'Denoising strength: -1',
      'Version: ',
    );
    const text = fc
      .array(fc.oneof(pieces, fc.string({ maxLength: 8 })), { maxLength: 12 })
      .map((list) => list.join(''));
    await check(
      fc.asyncProperty(text, async (given) => {
        await settles('parseInfotext', () => parseInfotext(given));
        await settles('infotextToRequest', () => infotextToRequest(given));
        await settles('infotextToModel', () => infotextToModel(given));
      }) as fc.IAsyncProperty<unknown>,
    );
  });

  it('an error of its own is typed too', () => {
    expect(new DiffusionError('ERR_INVALID_OPTION', 'x')).toBeInstanceOf(DiffusionError);
  });
});
