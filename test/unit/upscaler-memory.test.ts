import { describe, expect, it } from 'vitest';
import type { RawImage, Runtime, Upscaler } from '../../lib/index.js';
import type { NativeUpscaleSize } from '../../lib/native/index.js';
import { type FakeAddon, type FakeOptions, picture, until } from '../support/fakeAddon.js';
import { fakeFile } from '../support/fakeFiles.js';
import { heard, history, twoModels, weighing } from '../support/fakeCheckpoints.js';
import { fakeRuntime, tinyUpscaler } from '../support/fakeModel.js';
import { failure } from '../support/native.js';

const mib = 2 ** 20;
const gib = 1024 * mib;
// What the process grows by in a test counts under the limit as well, so all sizes are far larger than that.
const runtime = { memoryLimit: 8 * gib };
/** 64 KiB a pixel of the largest piece. */
const graph = ({ width, height, tileSize }: NativeUpscaleSize): number =>
  Math.min(width, tileSize) * Math.min(height, tileSize) * 64 * 1024;
const image = (edge: number): RawImage => picture(edge, edge, 1) as RawImage;

async function loaded(upscaler: FakeOptions['upscaler'], tileSize = 512) {
  const made = await fakeRuntime({ runtime, ...(upscaler === undefined ? {} : { upscaler }) });
  return { ...made, upscaler: await made.runtime.loadUpscaler({ file: tinyUpscaler(), tileSize }) };
}

const available = async (upscaler: Upscaler): Promise<number> =>
  (await upscaler.estimate({ image: image(8) })).available;

describe('the weights of an upscaler', () => {
  it('that do not fit are refused with the numbers, before anything is loaded', async () => {
    const { fake, runtime: small } = await fakeRuntime({ runtime, upscaler: { bytes: 9 * gib } });
    const error = await failure(small.loadUpscaler({ file: tinyUpscaler() }));
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_MEMORY', given: { needed: 9 * gib } });
    expect(error.message).toMatch(/^Loading the upscaler needs 9\.00 GiB of memory, memoryLimit \(8\.00 GiB\) leaves/);
    expect(fake.of('loadUpscaler')).toEqual([]);
  });

  it('count while they are there', async () => {
    const { fake, runtime: owner, upscaler } = await loaded({ bytes: 3 * gib });
    expect(upscaler.bytes).toBe(3 * gib);
    expect(fake.of('loadUpscaler')[0]?.params.memoryBudget).toBe(3 * gib);
    const second = await owner.loadUpscaler({ file: tinyUpscaler() });
    expect((await failure(owner.loadUpscaler({ file: tinyUpscaler() }))).code).toBe('ERR_OUT_OF_MEMORY');
    await upscaler.dispose();
    await second.dispose();
    expect(await available(await owner.loadUpscaler({ file: tinyUpscaler() }))).toBeGreaterThan(4.5 * gib);
  });

  it('are given back when loading fails or is aborted', async () => {
    const { fake, runtime: owner } = await fakeRuntime({ runtime, upscaler: { bytes: 5 * gib } });
    fake.hold.add('loadUpscaler');
    const failing = owner.loadUpscaler({ file: tinyUpscaler() });
    await until(() => fake.of('loadUpscaler').length === 1);
    fake.of('loadUpscaler')[0]?.fail('ERR_MODEL_CORRUPT', 'broken');
    await expect(failing).rejects.toMatchObject({ code: 'ERR_MODEL_CORRUPT' });
    const controller = new AbortController();
    const aborted = owner.loadUpscaler({ file: tinyUpscaler(), signal: controller.signal });
    await until(() => fake.of('loadUpscaler').length === 2);
    controller.abort();
    await expect(aborted).rejects.toBe(controller.signal.reason);
    fake.hold.clear();
    expect((await owner.loadUpscaler({ file: tinyUpscaler() })).bytes).toBe(5 * gib);
  });
});

describe('an enlargement', () => {
  it('is estimated; a size is measured once', async () => {
    const { fake, upscaler } = await loaded({ graph });
    const estimate = await upscaler.estimate({ image: image(128) });
    expect(estimate).toMatchObject({ weights: 10, graphs: gib, limit: 8 * gib, fits: true });
    expect(estimate.pixels).toBeGreaterThan(128 * 128 * 3 * 4 * 5);
    expect(estimate.job).toBeGreaterThan(estimate.graphs + estimate.pixels);
    expect(estimate.peak).toBe(estimate.job + 10);
    await upscaler.upscale({ image: image(128) });
    expect(fake.of('measureUpscale')).toHaveLength(1);
    expect(fake.of('upscale')[0]?.params).toMatchObject({ tileSize: 512, memoryBudget: gib });
  });

  it('that does not fit is refused with what was measured to help, and the next one runs', async () => {
    const { fake, upscaler } = await loaded({ graph });
    const error = await failure(upscaler.upscale({ image: image(512) }));
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    expect(error.message).toMatch(
      /^Enlarging 512x512 pixels 2 times needs 16\.\d+ GiB of memory, memoryLimit \(8\.00 GiB\) leaves .*: graphs 16\.00 GiB, pixels \d+ MiB\. Load the upscaler with tileSize: 256, which needs 4\.\d+ GiB; or Give a smaller picture: 256x256 needs 4\.\d+ GiB\.$/,
    );
    expect((error.given as { needed: number }).needed).toBeGreaterThan(16 * gib);
    expect(fake.of('upscale')).toEqual([]);
    await upscaler.upscale({ image: image(256) });
    const tiled = await loaded({ graph }, 256);
    await tiled.upscaler.upscale({ image: image(512) });
  });

  it('is given back after an abort and a failure', async () => {
    const { fake, upscaler } = await loaded({ graph });
    const free = await available(upscaler);
    fake.hold.add('upscale');
    const failing = upscaler.upscale({ image: image(256) });
    await until(() => fake.of('upscale').length === 1);
    expect(await available(upscaler)).toBeLessThan(free - 3 * gib);
    fake.of('upscale')[0]?.fail('ERR_ENGINE', 'broken');
    await expect(failing).rejects.toMatchObject({ code: 'ERR_ENGINE' });
    const controller = new AbortController();
    const aborted = upscaler.upscale({ image: image(256), signal: controller.signal });
    await until(() => fake.of('upscale').length === 2);
    controller.abort();
    await expect(aborted).rejects.toBe(controller.signal.reason);
    fake.hold.clear();
    await upscaler.upscale({ image: image(256) });
    expect(await available(upscaler)).toBeGreaterThan(free - 200 * mib);
  });

  it('waits for one of another upscaler that has the memory', async () => {
    const { fake, runtime: owner, upscaler } = await loaded({ graph: (size) => graph(size) * 1.5 });
    const other = await owner.loadUpscaler({ file: tinyUpscaler(), tileSize: 512 });
    fake.hold.add('upscale');
    const first = upscaler.upscale({ image: image(256) });
    await until(() => fake.of('upscale').length === 1);
    const second = other.upscale({ image: image(256) });
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(fake.of('upscale')).toHaveLength(1);
    fake.hold.clear();
    fake.of('upscale')[0]?.release();
    await Promise.all([first, second]);
    expect(fake.of('upscale')).toHaveLength(2);
  });
});

describe('a hires pass with an upscaler model', () => {
  const request = { prompt: 'x', width: 256, height: 256, steps: 2, seed: 1 };
  const file = fakeFile('esrgan', ['upscaler']);
  const hires = { upscaler: { file, tileSize: 256 } };
  const small = { ...request, width: 64, height: 64, hires: { upscaler: file } };
  const enlarging = async (upscaler: FakeOptions['upscaler'], second = weighing(100)) =>
    twoModels(second, { runtime, infoOf: () => weighing(100), ...(upscaler === undefined ? {} : { upscaler }) });
  const freed = async (owner: Runtime, fake: FakeAddon): Promise<string[]> => {
    await owner.dispose();
    return fake.disposedUpscalers;
  };

  it('that does not fit is refused before the first step, with ways out that help', async () => {
    const two = await enlarging({ graph: (size) => 3 * graph(size) });
    const error = await failure(two.model.txt2img({ ...request, hires }));
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    expect(error.message).toMatch(
      /^The job needs 12\.\d+ GiB .*: upscaler model 12\.\d+ GiB, .* Give the upscaler model a smaller tileSize: 128 needs 3\.\d+ GiB; or Make the picture smaller: 384x384 needs 6\.\d+ GiB\.$/,
    );
    expect(two.fake.of('sample')).toEqual([]);
    expect((await two.model.estimate({ ...request, hires })).fits).toBe(false);
    await two.model.txt2img({ ...request, hires: { upscaler: { file, tileSize: 128 } } });
    expect(two.fake.of('upscale')).toHaveLength(1);
    await two.runtime.dispose();
  });

  it('is a part of estimate and plan', async () => {
    const two = await enlarging({ bytes: gib, graph });
    const [plain, estimate] = [await two.model.estimate(request), await two.model.estimate({ ...request, hires })];
    expect(plain.upscaler).toBe(0);
    expect(estimate.upscaler).toBeGreaterThan(4 * gib);
    expect(estimate.weights).toBe(plain.weights + gib);
    expect(estimate.job).toBeGreaterThan(4 * gib);
    const plan = await two.model.plan({ ...request, hires });
    expect(plan.peak).toBe(estimate.peak);
    expect(plan.explain()).toMatch(/enlarged by "esrgan(?:-\d+)?" \(1\.00 GiB, read from disk\)/);
    expect(two.fake.of('loadUpscaler')).toEqual([]);
    await two.runtime.dispose();
  });

  it('whose weights do not fit is refused before the first step', async () => {
    const two = await enlarging({ bytes: 9 * gib });
    const error = await failure(two.model.txt2img(small));
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    expect(error.message).toContain('Loading the upscaler needs 9.00 GiB');
    expect(two.fake.of('sample')).toEqual([]);
    await two.runtime.dispose();
  });

  it('and a checkpoint of its own is checked before the first step as well', async () => {
    const two = await enlarging({ graph: (size) => 3 * graph(size) });
    const job = { ...request, hires: { ...hires, checkpoint: two.b } };
    const error = await failure(two.model.txt2img(job));
    expect(error.message).toMatch(/^The hires pass with "b-\d+" needs 12\.\d+ GiB .*: upscaler model/);
    expect(history(two, ['loadModel', 'sample'])).toEqual(['loadModel a']);
    await two.runtime.dispose();
  });

  it('keeps its model for the next job, until another model needs the room', async () => {
    const heavy = weighing(1500 * mib);
    const two = await enlarging({ bytes: 5 * gib }, heavy);
    const { events, onModel } = heard();
    await two.model.txt2img({ ...small, onModel });
    await two.model.txt2img({ ...small, onModel });
    expect(two.fake.of('loadUpscaler')).toHaveLength(1);
    const wanted = { ...request, width: 64, height: 64, hires: { checkpoint: two.b, upscaler: 'latent' }, onModel };
    expect((await two.model.plan(wanted)).unloads).toHaveLength(1);
    await two.model.txt2img(wanted);
    expect(two.fake.disposedUpscalers).toHaveLength(1);
    await two.model.txt2img({ ...small, onModel });
    expect(events.map((event) => event.replace(/^(\w+ esrgan).*/, '$1'))).toEqual([
      ...['load esrgan', 'unload esrgan', 'load b', 'switch b', 'unload b', 'load esrgan'],
    ]);
    expect(two.fake.of('loadUpscaler')).toHaveLength(2);
    expect(await freed(two.runtime, two.fake)).toHaveLength(2);
  });

  it('gives the last one up for another, and all on request', async () => {
    const two = await enlarging({});
    const other = fakeFile('other', ['upscaler']);
    await two.model.txt2img(small);
    await two.model.txt2img({ ...small, hires: { upscaler: other } });
    expect(two.fake.disposedUpscalers).toEqual([file]);
    await two.runtime.releaseHires();
    expect(two.fake.disposedUpscalers).toEqual([file, other]);
    await two.model.txt2img(small);
    expect(two.fake.of('loadUpscaler').map(({ params }) => params.file)).toEqual([file, other, file]);
    await two.runtime.dispose();
  });
});
