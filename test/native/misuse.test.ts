import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/index.js';
import type { NativeConditioning, NativeModel } from '../../lib/native/contract.js';
import {
  decodeParams,
  encodeParams,
  loadOptions,
  noiseParams,
  promptParams,
  sampleParams,
  sigmaParams,
} from '../support/nativeParams.js';
import { rawAddon, rejection, sha256 } from '../support/native.js';
import { writeLora, writeTextFile, writeTruncated, writeWrongShapes } from '../support/synthetic/index.js';

/** Things that fit nowhere. */
const strange: readonly unknown[] = [undefined, null, true, 7, 'text', Symbol('s'), 1n, () => 0, [], {}, new Map()];

const addon = rawAddon();
let model: NativeModel;
let expected: string;

async function draw(): Promise<string> {
  const cond = await model.encodePrompt(promptParams(), null).promise;
  const { data } = await model.sample(sampleParams(cond), null).promise;
  cond.dispose();
  return sha256(data);
}

beforeAll(async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  model = await addon.loadModel(loadOptions({ checkpoint, taesd }), null).promise;
  expected = await draw();
});
afterAll(() => model.dispose());

/** A call with wrong arguments throws at once, with the code that says whose mistake it is. */
function expectRefused(call: () => unknown): void {
  let thrown: unknown;
  try {
    const job = call() as { promise?: Promise<unknown> } | undefined;
    // Only reached when it was not refused; nothing may be left unhandled.
    job?.promise?.catch(() => undefined);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(Error);
  expect((thrown as { code?: unknown }).code).toBe('ERR_INVALID_OPTION');
}

describe('the raw addon refuses', () => {
  it.each(strange.map((value) => [String(value), value] as const))('%s for parameters', (_, value) => {
    expectRefused(() => addon.loadModel(value as never, null));
    expectRefused(() => addon.loadUpscaler(value as never, null));
    expectRefused(() => addon.inspect(value as never));
    expectRefused(() => addon.setLogger(value as never, null));
    expectRefused(() => model.encodePrompt(value as never, null));
    expectRefused(() => model.sigmas(value as never));
    expectRefused(() => model.noise(value as never));
    expectRefused(() => model.sample(value as never, null));
    expectRefused(() => model.encodeImages(value as never, null));
    expectRefused(() => model.decodeLatent(value as never, null));
    if (typeof value !== 'string') expectRefused(() => addon.loadBackends(value as never));
    if (value !== undefined && !Array.isArray(value))
      expectRefused(() => addon.loadBackends('/nowhere', value as never));
  });

  const each = (
    name: string,
    params: () => object,
    call: (params: never) => unknown,
    optional: readonly string[],
  ): void => {
    it(`strange values in every field of ${name}`, () => {
      for (const key of Object.keys(params())) {
        for (const value of strange) {
          const given = { ...params(), [key]: value };
          const own = (params() as Record<string, unknown>)[key];
          // Values of the right type are somebody else's test; null and undefined stand for "left out" where that is allowed.
          if (typeof value === typeof own && typeof value !== 'object') continue;
          if ((value === null || value === undefined) && optional.includes(key)) continue;
          if (Array.isArray(own) && Array.isArray(value)) continue;
          let thrown: unknown = `accepted ${String(value)} for ${key}`;
          try {
            (call(given as never) as { promise: Promise<unknown> }).promise.catch(() => undefined);
          } catch (error) {
            thrown = error;
          }
          expect(thrown, `${key}: ${String(value)}`).toMatchObject({ code: 'ERR_INVALID_OPTION' });
        }
      }
    });
  };
  const texts = ['device', 'weightType', 'tensorTypeRules', 'prediction', 'rng', 'samplerRng'];
  each(
    'loadModel',
    () => loadOptions({ checkpoint: '/nothing' }),
    (p) => addon.loadModel(p, null),
    texts,
  );
  each('encodePrompt', promptParams, (p) => model.encodePrompt(p, null), ['prompt', 'refImages']);
  each('sigmas', sigmaParams, (p) => model.sigmas(p), ['schedule', 'sampler']);
  each('noise', noiseParams, (p) => model.noise(p), []);
  each('decodeLatent', decodeParams, (p) => model.decodeLatent(p, null), []);
  each('encodeImages', encodeParams, (p) => model.encodeImages(p, null), []);

  it('strange values in every field of sample', async () => {
    const cond = await model.encodePrompt(promptParams(), null).promise;
    const optional = ['uncond', 'noise', 'sampler', 'slgLayers', 'mask', 'concat', 'uncondConcat', 'refLatents'];
    optional.push('controlImage', 'cacheMode', 'preview', 'predictions');
    for (const key of Object.keys(sampleParams(cond))) {
      for (const value of strange) {
        const own = (sampleParams(cond) as unknown as Record<string, unknown>)[key];
        if (typeof value === typeof own && typeof value !== 'object') continue;
        if ((value === null || value === undefined) && optional.includes(key)) continue;
        if (Array.isArray(own) && Array.isArray(value)) continue;
        const given = { ...sampleParams(cond), [key]: value };
        let thrown: unknown = 'accepted';
        try {
          model.sample(given as never, null).promise.catch(() => undefined);
        } catch (error) {
          thrown = error;
        }
        expect(thrown, `${key}: ${String(value)}`).toMatchObject({ code: 'ERR_INVALID_OPTION' });
      }
    }
    cond.dispose();
  });

  it('layers to skip that are no Int32Array', async () => {
    const cond = await model.encodePrompt(promptParams(), null).promise;
    for (const slgLayers of [
      new Uint8Array(3),
      new Float32Array(3),
      new BigInt64Array(1),
      new DataView(new ArrayBuffer(4)),
    ]) {
      expectRefused(() => model.sample({ ...sampleParams(cond), slgLayers: slgLayers as never }, null));
    }
    cond.dispose();
  });

  it('latents of wrong shapes, lengths and types', async () => {
    const cond = await model.encodePrompt(promptParams(), null).promise;
    const right = sampleParams(cond).latent;
    const [, channels = 0, height = 0, width = 0] = right.shape;
    const shaped = (shape: readonly number[]) => ({
      shape,
      data: new Float32Array(
        Math.max(
          0,
          Math.min(
            1e6,
            shape.reduce((a, b) => a * b, 1),
          ),
        ),
      ),
    });
    const wrong: readonly unknown[] = [
      shaped([]),
      shaped([channels, height, width]),
      shaped([2, channels, height, width]),
      shaped([1, channels + 1, height, width]),
      shaped([1, channels, height + 1, width]),
      shaped([1, channels, height, width - 1]),
      shaped([1, channels, height, 0]),
      shaped([1, channels, height, -width]),
      { ...right, shape: [1, channels, height, width, 1] },
      { ...right, shape: [1, channels, height, 1e9] },
      { ...right, shape: [1, channels, height, NaN] },
      { ...right, shape: ['1', channels, height, width] },
      { ...right, data: right.data.slice(1) },
      { ...right, data: new Float64Array(right.data.length) },
      { ...right, data: Array.from(right.data) },
      { ...right, data: right.data.buffer },
    ];
    for (const latent of wrong) {
      expectRefused(() => model.sample({ ...sampleParams(cond), latent: latent as never }, null));
      expectRefused(() => model.decodeLatent({ ...decodeParams(), latent: latent as never }, null));
      expectRefused(() => model.sample({ ...sampleParams(cond), noise: latent as never }, null));
      expectRefused(() => model.sample({ ...sampleParams(cond), mask: latent as never }, null));
      expectRefused(() => model.sample({ ...sampleParams(cond), refLatents: [latent as never] }, null));
    }
    expectRefused(() => model.sample({ ...sampleParams(cond), mask: right }, null));
    // This model reads nothing beside the noise; a concat would meet a network without the channels for it.
    expectRefused(() => model.sample({ ...sampleParams(cond), concat: right }, null));
    cond.dispose();
  });

  it('sigmas that are none', async () => {
    const cond = await model.encodePrompt(promptParams(), null).promise;
    const wrong = [[], [1], [NaN, 0], [Infinity, 0], [-1, 0]].map((list) => Float32Array.from(list));
    for (const sigmas of [...wrong, [1, 0], new Float64Array([1, 0])]) {
      expectRefused(() => model.sample({ ...sampleParams(cond), sigmas: sigmas as never }, null));
    }
    cond.dispose();
  });

  it('a foreign object for a conditioning, and a disposed one', async () => {
    const cond = await model.encodePrompt(promptParams(), null).promise;
    const copy = { bytes: cond.bytes, shape: cond.shape, dispose: () => undefined };
    const forged = Object.setPrototypeOf({ ...copy }, Object.getPrototypeOf(cond) as object) as unknown;
    for (const value of [copy, forged, model, Object.create(cond) as unknown, new Proxy(cond, {}), sampleParams]) {
      expectRefused(() => model.sample({ ...sampleParams(cond), cond: value as never }, null));
      expectRefused(() => model.sample({ ...sampleParams(cond), uncond: value as never }, null));
    }
    cond.dispose();
    cond.dispose();
    expectRefused(() => model.sample(sampleParams(cond), null));
  });

  it('methods on foreign objects', async () => {
    const cond = await model.encodePrompt(promptParams(), null).promise;
    for (const value of [{}, cond, null, 5, Object.create(model) as unknown]) {
      for (const name of ['sigmas', 'encodePrompt', 'sample', 'decodeLatent', 'encodeImages', 'dispose'] as const) {
        const method = model[name] as unknown as (...args: unknown[]) => unknown;
        expect(() => Reflect.apply(method, value, [sigmaParams(), null])).toThrow();
      }
      if (value !== cond) expect(() => Reflect.apply(cond.dispose, value, [])).toThrow();
    }
    cond.dispose();
  });

  it('construction by hand, or makes objects that do nothing', async () => {
    const cond = await model.encodePrompt(promptParams(), null).promise;
    const make = (constructor: unknown): unknown => {
      try {
        return Reflect.construct(constructor as () => void, []);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        return undefined;
      }
    };
    const made = make(model.constructor) as NativeModel | undefined;
    if (made !== undefined) {
      expect(() => made.sigmas(sigmaParams())).toThrow();
      expect(() => made.encodePrompt(promptParams(), null)).toThrow();
      expect(() => made.sample(sampleParams(cond), null)).toThrow();
      expect(() => made.encodeImages(encodeParams(), null)).toThrow();
      expect(() => made.decodeLatent(decodeParams(), null)).toThrow();
      await made.dispose();
    }
    const empty = make(cond.constructor) as NativeConditioning | undefined;
    if (empty !== undefined) {
      expectRefused(() => model.sample({ ...sampleParams(cond), cond: empty }, null));
      empty.dispose();
    }
    cond.dispose();
  });

  it('names that the engine lacks', async () => {
    const cond = await model.encodePrompt(promptParams(), null).promise;
    const jobs = [
      () => model.sample({ ...sampleParams(cond), sampler: 'nothing' }, null),
      () => model.sample({ ...sampleParams(cond), preview: 'nothing' }, null),
      () => model.sample({ ...sampleParams(cond), cacheMode: 'nothing' as never }, null),
      () => model.sigmas({ ...sigmaParams(), schedule: 'nothing' }),
      () => model.sigmas({ ...sigmaParams(), sampler: 'nothing' }),
      () => addon.loadModel(loadOptions({ checkpoint: '/x' }, { weightType: 'nothing' }), null),
      () => addon.loadModel(loadOptions({ checkpoint: '/x' }, { prediction: 'nothing' }), null),
      () => addon.loadModel(loadOptions({ checkpoint: '/x' }, { rng: 'nothing' }), null),
    ];
    for (const start of jobs) {
      const error = await rejection((async () => start().promise)());
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' });
    }
    cond.dispose();
  });

  it('devices that are not there', async () => {
    const error = await rejection(
      addon.loadModel(loadOptions({ checkpoint: '/x' }, { device: 'CUDA99' }), null).promise,
    );
    expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
  });
});

describe('files straight to the raw addon', () => {
  let directory: string;
  const at = (name: string): string => join(directory, name);
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'node-diffusion-'));
    await writeTextFile(at('text.safetensors'));
    await writeTextFile(at('text.gguf'));
    await writeTextFile(at('text.ckpt'));
    await writeLora(at('lora.safetensors'), { seed: 1 });
    await writeWrongShapes('sd1', at('shapes.safetensors'));
    await writeTruncated(at('shapes.safetensors'), at('short.safetensors'), 300_000);
    await writeTruncated(at('shapes.safetensors'), at('header.safetensors'), 20);
  });
  afterAll(() => rm(directory, { recursive: true }));

  it.each([
    'nothing.safetensors',
    '',
    'text.safetensors',
    'text.gguf',
    'text.ckpt',
    'lora.safetensors',
    'shapes.safetensors',
    'short.safetensors',
    'header.safetensors',
  ])('%j is a typed rejection', async (name) => {
    for (const mmap of [false, true]) {
      const error = await rejection(addon.loadModel(loadOptions({ checkpoint: at(name) }, { mmap }), null).promise);
      expect(['ERR_MODEL_CORRUPT', 'ERR_MODEL_UNSUPPORTED', 'ERR_MODEL_NOT_FOUND']).toContain(
        (error as { code?: unknown }).code,
      );
    }
  });
});

it('after all of that the model draws what it drew before', async () => {
  expect(await draw()).toBe(expected);
});

it('a listener that is no function is no listener', async () => {
  for (const listener of strange) {
    if (typeof listener === 'function') continue;
    const cond = await model.encodePrompt(promptParams(), listener as never).promise;
    cond.dispose();
  }
});

it('parameters are copied: what happens to them afterwards changes nothing', async () => {
  const cond = await model.encodePrompt(promptParams(), null).promise;
  const params = sampleParams(cond);
  const job = model.sample(params, null);
  params.sigmas.fill(1e9);
  params.latent.data.fill(NaN);
  cond.dispose();
  expect(sha256((await job.promise).data)).toBe(expected);
});

it('a disposed model refuses work', async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const other = await addon.loadModel(loadOptions({ checkpoint, taesd }, { mmap: true }), null).promise;
  await Promise.all([other.dispose(), other.dispose()]);
  await other.dispose();
  expect(() => other.sigmas(sigmaParams())).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
  expect(await draw()).toBe(expected);
});
