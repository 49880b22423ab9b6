import { describe, expect, it, vi } from 'vitest';
import type { NativeConditioning, NativeEncodePromptParams } from '../../lib/native/contract.js';
import { ConditioningCache, conditioningKey } from '../../lib/pipeline/conditioningCache.js';
import { encodePrompt } from '../../lib/pipeline/encoding.js';
import { runMode } from '../../lib/pipeline/modes.js';
import { sampleLatent } from '../../lib/pipeline/sampleLatent.js';
import { fakePipeline } from '../support/fakeModel.js';
import { picture, until } from '../support/fakeAddon.js';

function handle(bytes = 10): NativeConditioning & { dispose: ReturnType<typeof vi.fn<() => void>> } {
  return { bytes, shape: [1, 77, 768], dispose: vi.fn<() => void>() };
}

describe('ConditioningCache', () => {
  it('encodes once for the same content', async () => {
    const cache = new ConditioningCache(100);
    const encode = vi.fn(() => Promise.resolve(handle()));
    const first = await cache.acquire('a', encode);
    const second = await cache.acquire('a', encode);
    expect(second.handle).toBe(first.handle);
    expect([first.hit, second.hit]).toEqual([false, true]);
    expect(encode).toHaveBeenCalledTimes(1);
    expect(cache.stats).toEqual({ bytes: 10, entries: 1, hits: 1, misses: 1 });
  });

  it('drops the least recently used one when there are too many bytes', async () => {
    const cache = new ConditioningCache(25);
    const handles = { a: handle(), b: handle(), c: handle() };
    for (const key of ['a', 'b', 'a', 'c'] as const)
      (await cache.acquire(key, () => Promise.resolve(handles[key]))).release();
    expect(handles.b.dispose).toHaveBeenCalledTimes(1);
    expect(handles.a.dispose).not.toHaveBeenCalled();
    expect((await cache.acquire('a', () => Promise.resolve(handle()))).hit).toBe(true);
  });

  it('never disposes a handle in use', async () => {
    const cache = new ConditioningCache(0);
    const used = handle();
    const lease = await cache.acquire('a', () => Promise.resolve(used));
    expect(cache.stats.entries).toBe(0);
    expect(used.dispose).not.toHaveBeenCalled();
    lease.release();
    lease.release();
    expect(used.dispose).toHaveBeenCalledTimes(1);
  });

  it('disposes of everything that is not in use when cleared', async () => {
    const cache = new ConditioningCache(100);
    const [used, free] = [handle(), handle()];
    const lease = await cache.acquire('a', () => Promise.resolve(used));
    (await cache.acquire('b', () => Promise.resolve(free))).release();
    cache.clear();
    expect(free.dispose).toHaveBeenCalledTimes(1);
    expect(used.dispose).not.toHaveBeenCalled();
    lease.release();
    expect(used.dispose).toHaveBeenCalledTimes(1);
    expect(cache.stats).toMatchObject({ bytes: 0, entries: 0 });
  });

  it('remembers nothing of an encoding that failed', async () => {
    const cache = new ConditioningCache(100);
    await expect(cache.acquire('a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect((await cache.acquire('a', () => Promise.resolve(handle()))).hit).toBe(false);
  });
});

describe('conditioningKey', () => {
  const params: NativeEncodePromptParams = {
    prompt: 'a',
    clipSkip: -1,
    width: 512,
    height: 512,
    zeroOutMasked: false,
    refImages: [],
    memoryBudget: 0,
  };

  it('is made of everything that decides the result', () => {
    const base = conditioningKey(params, true);
    expect(conditioningKey({ ...params }, true)).toBe(base);
    for (const change of [
      { prompt: 'b' },
      { clipSkip: 2 },
      { width: 576 },
      { height: 576 },
      { zeroOutMasked: true },
      { refImages: [picture(8, 8, 1)] },
    ]) {
      expect(conditioningKey({ ...params, ...change }, true)).not.toBe(base);
    }
    const one = conditioningKey({ ...params, refImages: [picture(8, 8, 1)] }, false);
    expect(conditioningKey({ ...params, refImages: [picture(8, 8, 2)] }, false)).not.toBe(one);
  });

  it('leaves the size out where it does not matter', () => {
    expect(conditioningKey({ ...params, width: 576 }, false)).toBe(conditioningKey(params, false));
  });
});

describe('the cache of a model', () => {
  it('serves the second request with the same prompts', async () => {
    const { fake, model } = fakePipeline();
    for (const seed of [1, 2]) await runMode(model, 'txt2img', { prompt: 'a', negativePrompt: 'b', steps: 1, seed });
    await runMode(model, 'txt2img', { prompt: 'a', negativePrompt: 'b', steps: 1, width: 64, height: 64 });
    expect(fake.of('encodePrompt')).toHaveLength(2);
    await runMode(model, 'txt2img', { prompt: 'a', negativePrompt: 'b', steps: 1, clipSkip: 2 });
    expect(fake.of('encodePrompt')).toHaveLength(4);
  });

  it('keeps the conditioning while an aborted job may still read it', async () => {
    const { fake, model } = fakePipeline({ cacheBytes: 0 });
    fake.hold.add('sample');
    fake.slowCancel = true;
    const controller = new AbortController();
    const job = runMode(model, 'txt2img', { prompt: 'a', cfgScale: 1, steps: 1, signal: controller.signal });
    await until(() => fake.of('sample').length === 1);
    controller.abort('enough');
    await expect(job).rejects.toBe('enough');
    await new Promise((resolve) => setImmediate(resolve));
    expect(fake.conditionings.map(({ disposed }) => disposed)).toEqual([false]);
    fake.of('sample')[0]?.letGo();
    await until(() => fake.conditionings.every(({ disposed }) => disposed));
  });

  it('frees an encoding that ends after its abort', async () => {
    const { fake, model } = fakePipeline();
    fake.hold.add('encodePrompt');
    fake.slowCancel = true;
    const controller = new AbortController();
    const job = runMode(model, 'txt2img', { prompt: 'a', steps: 1, signal: controller.signal });
    await until(() => fake.of('encodePrompt').length === 1);
    controller.abort('enough');
    await expect(job).rejects.toBe('enough');
    fake.of('encodePrompt')[0]?.release();
    await until(() => fake.conditionings[0]?.disposed === true);
    expect(model.cache.stats.entries).toBe(0);
  });
});

describe('encodePrompt', () => {
  it('gives positive and negative, which sample takes', async () => {
    const { fake, model } = fakePipeline();
    const conditioning = await encodePrompt(model, { prompt: 'a', negativePrompt: 'b' });
    expect(conditioning).toMatchObject({ shape: [1, 77, 768], bytes: 2000, hasNegative: true });
    const latent = await sampleLatent(model, { conditioning, seed: 3, steps: 2, width: 64, height: 128 });
    expect(latent.shape).toEqual([1, 4, 16, 8]);
    const [call] = fake.of('sample');
    expect(call?.params).toMatchObject({ cond: { prompt: 'a' }, uncond: { prompt: 'b' }, seed: 3 });
  });

  it('leaves the negative out on request, and sample then wants cfgScale 1', async () => {
    const { fake, model } = fakePipeline();
    const conditioning = await encodePrompt(model, { prompt: 'a', negativePrompt: null });
    expect(conditioning.hasNegative).toBe(false);
    await expect(sampleLatent(model, { conditioning })).rejects.toMatchObject({ field: 'cfgScale' });
    await sampleLatent(model, { conditioning, cfgScale: 1, steps: 1, width: 64, height: 64 });
    expect(fake.of('sample')[0]?.params.uncond).toBeNull();
  });

  it('is refused by another model and after its end', async () => {
    const [one, other] = [fakePipeline(), fakePipeline()];
    const conditioning = await encodePrompt(one.model, { prompt: 'a' });
    await expect(sampleLatent(other.model, { conditioning, steps: 1 })).rejects.toMatchObject({
      field: 'conditioning',
    });
    conditioning.dispose();
    await expect(sampleLatent(one.model, { conditioning, steps: 1 })).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });
});
