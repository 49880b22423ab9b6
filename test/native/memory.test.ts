import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel, Latent } from '../../lib/index.js';
import type { NativeModel } from '../../lib/native/contract.js';
import { collectGarbage, edge, rawAddon, tiny, useModel } from '../support/native.js';
import { loadOptions, promptParams } from '../support/nativeParams.js';

const fixture = useModel({ conditioningCacheBytes: 0 });
const request = { ...tiny, steps: 1 };
const mib = 2 ** 20;

interface Usage {
  readonly rss: number;
  readonly external: number;
  readonly arrayBuffers: number;
}

/** Memory after a collection. Finalizers run a little later than the collection itself. */
async function settled(): Promise<Usage> {
  for (let i = 0; i < 3; i++) {
    expect(await collectGarbage()).toBe(true);
    await sleep(10);
  }
  return process.memoryUsage();
}

describe('work leaves nothing behind', () => {
  it('20 pictures', async () => {
    for (let i = 0; i < 5; i++) await fixture.model.txt2img({ ...request, seed: i });
    const before = await settled();
    for (let i = 0; i < 20; i++) await fixture.model.txt2img({ ...request, seed: i });
    const after = await settled();
    console.log(
      'pics',
      (after.rss - before.rss) / mib,
      after.external - before.external,
      after.arrayBuffers - before.arrayBuffers,
    );
    // A graph's buffers are tens of MiB, so one that stayed in 20 would show many times over; heaps breathe by a few.
    expect(after.rss - before.rss).toBeLessThan(24 * mib);
    // What V8 was told of is exact to a picture (12 KiB) or a conditioning (231 KiB).
    expect(after.external - before.external).toBeLessThan(edge * edge * 3);
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(edge * edge * 3);
  });

  it('large pictures: each is freed with its last reference', async () => {
    const { model } = fixture;
    const side = edge * 4;
    const latent = Latent.zeros(side, side, model.latentSpace);
    const tiling = { tileSize: 8, overlap: 0 };
    const decode = (): Promise<unknown> => model.decodeLatent({ latent, tiling });
    await decode();
    const before = await settled();
    for (let i = 0; i < 6; i++) await decode();
    const after = await settled();
    console.log(
      'large',
      (after.rss - before.rss) / mib,
      after.external - before.external,
      after.arrayBuffers - before.arrayBuffers,
    );
    const bytes = side * side * 3;
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(bytes);
    expect(after.rss - before.rss).toBeLessThan(24 * mib);
  });

  it('cancelled jobs', async () => {
    const cancel = async (): Promise<void> => {
      const controller = new AbortController();
      const onProgress = ({ phase }: { phase: string }): void => {
        if (phase === 'sample') controller.abort();
      };
      await fixture.model
        .txt2img({ ...request, steps: 50, signal: controller.signal, onProgress })
        .catch(() => undefined);
    };
    for (let i = 0; i < 3; i++) await cancel();
    const before = await settled();
    for (let i = 0; i < 20; i++) await cancel();
    await fixture.model.sigmas({ steps: 1 });
    const after = await settled();
    console.log('cancel', (after.rss - before.rss) / mib, after.external - before.external);
    expect(after.rss - before.rss).toBeLessThan(24 * mib);
    expect(after.external - before.external).toBeLessThan(100_000);
  });

  it('models: loading and disposing gives everything back', async () => {
    const load = async (): Promise<void> => {
      await using model = await fixture.runtime.loadModel();
      await model.sigmas({ steps: 1 });
    };
    await load();
    const before = await settled();
    await load();
    await load();
    const after = await settled();
    console.log('models', (after.rss - before.rss) / mib, after.external - before.external);
    expect(after.rss - before.rss).toBeLessThan(fixture.model.info.bytes / 10);
  });
});

describe('V8 knows of what native memory holds', () => {
  let native: NativeModel;
  beforeAll(async () => {
    const { checkpoint, taesd } = await ensureEmbeddedModel();
    native = await rawAddon().loadModel(loadOptions({ checkpoint, taesd }, { mmap: true }), null).promise;
  });
  afterAll(() => native.dispose());

  it('pictures, from the first to the last reference', async () => {
    const side = edge * 4;
    const latent = Latent.zeros(side, side, fixture.model.latentSpace);
    const before = await settled();
    let images: unknown = await fixture.model.decodeLatent({ latent, tiling: { tileSize: 8, overlap: 0 } });
    expect((await settled()).arrayBuffers - before.arrayBuffers).toBeGreaterThanOrEqual(side * side * 3);
    images = undefined;
    expect((await settled()).arrayBuffers - before.arrayBuffers).toBeLessThan(side * side * 3);
    expect(images).toBeUndefined();
  });

  it('a conditioning, until it is disposed of', async () => {
    const before = await settled();
    const made = await native.encodePrompt(promptParams(), null).promise;
    expect(made.bytes).toBeGreaterThan(0);
    expect((await settled()).external - before.external).toBeGreaterThanOrEqual(made.bytes);
    made.dispose();
    expect((await settled()).external - before.external).toBeLessThan(made.bytes);
  });

  it('a conditioning that nobody disposed of goes with its last reference', async () => {
    const before = await settled();
    let made: { readonly bytes: number } | undefined = await native.encodePrompt(promptParams(), null).promise;
    const { bytes } = made;
    made = undefined;
    expect((await settled()).external - before.external).toBeLessThan(bytes);
    expect(made).toBeUndefined();
  });

  it('a conditioning in the cache stays, up to the limit, and goes with the model', async () => {
    using one = await fixture.model.encodePrompt({ prompt: 'one', negativePrompt: null });
    const room = 2 * one.bytes + 1;
    const before = await settled();
    const model = await fixture.runtime.loadModel({ mmap: true, conditioningCacheBytes: room });
    for (let i = 0; i < 5; i++) {
      (await model.encodePrompt({ prompt: `apple ${String(i)}`, negativePrompt: null })).dispose();
    }
    const held = (await settled()).external - before.external;
    expect(held).toBeGreaterThanOrEqual(2 * one.bytes);
    expect(held).toBeLessThan(3 * one.bytes);
    await model.dispose();
    expect((await settled()).external - before.external).toBeLessThan(one.bytes);
  });
});
