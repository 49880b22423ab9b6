import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Latent } from '../../lib/index.js';
import { collectGarbage, edge, tiny, useModel } from '../support/native.js';

const fixture = useModel({ conditioningCacheBytes: 0 });
const request = { ...tiny, steps: 1 };
const mib = 2 ** 20;

/** Memory after a collection. Finalizers run a little later than the collection itself. */
async function settled(): Promise<NodeJS.MemoryUsage> {
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
    // A graph's buffers are tens of MiB, so one that stayed in 20 would show many times over; heaps breathe by a few.
    expect(after.rss - before.rss).toBeLessThan(24 * mib);
    // What V8 was told of is exact: one picture is 12 KiB.
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
    const bytes = side * side * 3;
    expect(after.external - before.external).toBeLessThan(bytes);
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
    expect(after.rss - before.rss).toBeLessThan(fixture.model.info.bytes / 10);
  });
});

describe('what V8 is told', () => {
  it('pictures count from the first to the last reference', async () => {
    const { model } = fixture;
    const side = edge * 4;
    const latent = Latent.zeros(side, side, model.latentSpace);
    const bytes = side * side * 3;
    const before = await settled();
    const held: unknown[] = [await model.decodeLatent({ latent }), await model.decodeLatent({ latent })];
    const during = await settled();
    expect(during.external - before.external).toBeGreaterThanOrEqual(2 * bytes);
    // Pictures lie outside of V8's heap and of its array buffers: they were not copied into either.
    expect(during.arrayBuffers - before.arrayBuffers).toBeLessThan(bytes);
    expect(held.length).toBe(2);
    held.length = 0;
    expect((await settled()).external - before.external).toBeLessThan(bytes);
  });
});
