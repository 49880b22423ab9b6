import { describe, expect, it } from 'vitest';
import { createRuntime } from '../../lib/index.js';
import { failure, hashes, threads, tiny, useModel } from '../support/native.js';

const fixture = useModel();
const mib = 2 ** 20;

describe('a load', () => {
  it('is estimated from headers: the bytes that it then has, fewer with a quantised type', async () => {
    const { runtime, model } = fixture;
    const estimate = await runtime.estimateLoad();
    expect(estimate.weights).toBe(model.info.bytes);
    expect(estimate.components.map(({ name, bytes }) => ({ name, bytes }))).toEqual(
      model.info.components.map(({ name, bytes }) => ({ name, bytes })),
    );
    expect(estimate).toMatchObject({ limit: null, fits: true, mapped: 0 });
    const small = await runtime.estimateLoad({ weightType: 'q8_0' });
    expect(small.weights).toBeLessThan(estimate.weights * 0.8);
    expect(small.readBuffers).toBeGreaterThan(0);
  });

  it('that exceeds memoryLimit is refused before anything is read, with what would help', async () => {
    const { weights } = await fixture.runtime.estimateLoad();
    const { peak } = await fixture.runtime.estimateLoad({ weightType: 'q8_0' });
    const runtime = await createRuntime({ backend: 'cpu', threads, memoryLimit: peak + 64 * mib });
    const events: unknown[] = [];
    const before = process.memoryUsage.rss();
    const error = await failure(runtime.loadModel({ onProgress: (event) => events.push(event) }));
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    expect(error.message).toMatch(/needs \d+ MiB of memory, memoryLimit .* leaves .*diffusion model \d+ MiB.*'q8_0'/);
    expect(process.memoryUsage.rss() - before).toBeLessThan(weights / 4);
    expect(runtime.models).toEqual([]);
    const loaded = await runtime.loadModel({ weightType: 'q8_0' });
    await loaded.txt2img(tiny);
    // A second one does not fit beside the first, and does when that has gone.
    expect((await failure(runtime.loadModel({ weightType: 'q8_0' }))).code).toBe('ERR_OUT_OF_MEMORY');
    await runtime.dispose();
  });

  it('memoryLimit is checked', async () => {
    for (const memoryLimit of [0, -1, '2 apples', NaN])
      expect(await failure(createRuntime({ memoryLimit }))).toMatchObject({
        code: 'ERR_INVALID_OPTION',
        field: 'memoryLimit',
      });
  });
});

describe('a refused graph', () => {
  it('leaves the model as it was: the next job gives the same bytes', async () => {
    const { model } = fixture;
    const before = hashes(await model.txt2img(tiny));
    const estimate = await model.estimate({ ...tiny, width: 128, height: 128 });
    expect(estimate.diffusion).toBeGreaterThan(0);
    expect(hashes(await model.txt2img(tiny))).toEqual(before);
  });
});
