import { describe, expect, it } from 'vitest';
import type { Model, ModelEvent, Txt2ImgRequest } from '../../lib/index.js';
import type { NativeMeasureParams } from '../../lib/native/index.js';
import { until } from '../support/fakeAddon.js';
import { compiling } from '../support/fakeCompiling.js';
import { fakeFile, wholeCheckpoint } from '../support/fakeFiles.js';
import { failure } from '../support/native.js';

const mib = 2 ** 20;
const square = (edge: number) => ({ prompt: 'x', width: edge, height: edge, steps: 1, seed: 1 });
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
};
const compiledIn = async (model: Model, request: Txt2ImgRequest): Promise<string[]> => {
  const components: string[] = [];
  const onModel = ({ action, component }: ModelEvent): void =>
    void (action === 'compile' && components.push(String(component)));
  await model.txt2img({ ...request, onModel });
  return components;
};

describe('compiled graphs that are kept', () => {
  it('go for a job of another size, the least recently used first and no more than it needs', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 400, total: 1000 });
    const model = await load();
    for (const edge of [64, 128, 64]) await model.txt2img(square(edge));
    expect(sizes()).toEqual([64, 128]);
    expect((await model.estimate(square(192))).fits).toBe(true);
    expect(await compiledIn(model, square(192))).toEqual(['diffusionModel']);
    expect(sizes()).toEqual([192, 64]);
    // The one that went counts again, the ones that stay do not.
    const compiledOf = async (edge: number) => (await model.plan(square(edge))).passes[0]?.compiles ?? [];
    expect(await compiledOf(64)).toEqual([]);
    expect(await compiledOf(128)).toMatchObject([{ component: 'diffusionModel', bytes: 400 * mib }]);
    await model.txt2img(square(128));
    expect(sizes()).toEqual([128, 192]);
    expect(fake.of('releaseCompiled').filter(({ params }) => params.bytes > 0)).toHaveLength(2);
    await runtime.dispose();
  });

  it('stay where there is room, whatever the prompt', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 400, total: 1300 });
    const model = await load();
    for (const edge of [64, 128, 192, 64]) await model.txt2img(square(edge));
    await model.txt2img({ ...square(64), prompt: 'another' });
    expect(sizes()).toEqual([64, 192, 128]);
    expect(fake.of('releaseCompiled').every(({ params }) => params.bytes === 0)).toBe(true);
    await runtime.dispose();
  });

  it('stay where the job asks for them, and all where nothing would help', async () => {
    let large = 10;
    const graph = ({ width }: NativeMeasureParams): number => (width > 64 ? 10 : large);
    const { runtime, load, sizes } = await compiling({ compiled: 300, graph, total: 1000 });
    const model = await load();
    for (const edge of [128, 192, 64]) await model.txt2img(square(edge));
    expect(sizes()).toEqual([64, 192, 128]);
    large = 5000;
    const error = await failure(model.txt2img({ ...square(64), prompt: 'far too much' }));
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    expect(sizes()).toEqual([64, 192, 128]);
    large = 650;
    expect(await compiledIn(model, { ...square(64), prompt: 'has room when the others have gone' })).toEqual([]);
    expect(sizes()).toEqual([64]);
    await runtime.dispose();
  });

  it('go before tiles are taken', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 400, total: 1000, decode: [550, 10] });
    const model = await load();
    const tiled = async (edge: number): Promise<boolean | undefined> => {
      await model.txt2img(square(edge));
      return fake.of('decodeLatent').at(-1)?.params.tiling.enabled;
    };
    expect(await tiled(512)).toBe(false);
    expect((await model.estimate(square(1024))).tileSize).toBeNull();
    expect(await tiled(1024)).toBe(false);
    expect(sizes()).toEqual([1024]);
    await runtime.dispose();
  });

  it('that have less than they say are no reason to refuse what fits with tiles', async () => {
    const { fake, runtime, load } = await compiling({ compiled: 400, total: 1000, decode: [650, 10], real: 0.6 });
    const model = await load();
    await model.txt2img(square(512));
    await model.txt2img(square(1024));
    expect(fake.of('decodeLatent').at(-1)?.params.tiling.enabled).toBe(true);
    await runtime.dispose();
  });

  it('count beside what later stages need: the decoder takes tiles where whole it has no room', async () => {
    const { fake, runtime, load } = await compiling({ compiled: 500, total: 1000, decode: [700, 10] });
    const model = await load();
    const { warnings } = await model.txt2img(square(512));
    expect(warnings.map(({ code }) => code)).toEqual(['tiled']);
    expect(fake.of('decodeLatent').at(-1)?.params.tiling.enabled).toBe(true);
    await runtime.dispose();
  });

  it('of tiles stay for a job with tiles, and the whole decoder goes for it', async () => {
    const { runtime, load, sizes } = await compiling({ compiled: 100, total: 900, decode: [150, 250], decoder: 300 });
    const model = await load();
    const tiling = { tileSize: 4, overlap: 0.25 };
    await model.txt2img({ ...square(64), tiling });
    await model.txt2img({ ...square(128), tiling: false });
    expect(await compiledIn(model, { ...square(192), tiling })).toEqual(['diffusionModel']);
    expect(sizes()).toContain(192);
    await runtime.dispose();
  });

  it('of another model go while that does nothing, and wait for it while it works', async () => {
    const graph = ({ width }: NativeMeasureParams): number => (width === 192 ? 250 : 10);
    const { fake, runtime, load, sizes } = await compiling({ compiled: 400, graph, total: 1000 });
    const [first, second] = [await load(), await load({ checkpoint: wholeCheckpoint('b') })];
    await first.txt2img(square(64));
    await first.txt2img(square(128));
    await second.txt2img(square(64));
    expect([sizes(1), sizes(2)]).toEqual([[128], [64]]);
    // The first works: what it has stays until it has done so, and the second cannot do without that memory.
    fake.hold.add('sample');
    const running = first.txt2img(square(128));
    const held = () => fake.of('sample').find(({ model, settled }) => model === 1 && !settled);
    await until(() => held() !== undefined);
    await turns(20);
    const waiting = second.txt2img({ ...square(192), tiling: false });
    await turns(200);
    expect(sizes(1)).toEqual([128]);
    expect(fake.of('sample').filter(({ settled }) => !settled)).toHaveLength(1);
    fake.hold.delete('sample');
    held()?.release();
    await Promise.all([running, waiting]);
    expect([sizes(1), sizes(2)]).toEqual([[], [192]]);
    await runtime.dispose();
  });

  it('of a job that ends go for a load that waits for it', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 700, total: 1000, weights: 70 });
    const model = await load();
    fake.hold.add('sample');
    const running = model.txt2img(square(64));
    const held = () => fake.of('sample').find(({ settled }) => !settled);
    await until(() => held() !== undefined);
    await turns(20);
    const loading = load({ checkpoint: wholeCheckpoint('b') });
    await turns(100);
    fake.hold.delete('sample');
    held()?.release();
    await Promise.all([running, loading]);
    expect([sizes(1), fake.loads.size, fake.disposedModels]).toEqual([[], 2, []]);
    await runtime.dispose();
  });

  it('go for a model that is loaded, before weights that nobody needs', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 300, total: 1000, weights: 50 });
    const model = await load();
    const hires = { checkpoint: wholeCheckpoint('b'), scale: 1 } as const;
    await model.txt2img({ ...square(64), hires });
    expect([sizes(1), sizes(2)]).toEqual([[64], [64]]);
    await load({ checkpoint: wholeCheckpoint('c') });
    expect(fake.disposedModels).toEqual([]);
    expect(sizes(1).length + sizes(2).length).toBe(1);
    await runtime.dispose();
  });

  it.each([
    ['as it is', {}],
    ['with parts of the first', { modules: 'same' }],
  ] as const)('of the first model go for a hires checkpoint and its pass, %s', async (_, modules) => {
    const { runtime, load, sizes } = await compiling({ compiled: 400, total: 1000, weights: 20 });
    const model = await load();
    await model.txt2img(square(64));
    await model.txt2img(square(128));
    const request = { ...square(64), hires: { checkpoint: wholeCheckpoint('b'), scale: 2, ...modules } } as const;
    expect((await model.estimate(request)).fits).toBe(true);
    await model.txt2img(request);
    expect(sizes(2)).toEqual([128]);
    await runtime.dispose();
  });

  it('of operations that make no picture are known as well', async () => {
    const { runtime, load, sizes } = await compiling({ compiled: 800, total: 1000 });
    const [first, second] = [await load(), await load({ checkpoint: wholeCheckpoint('b') })];
    const conditioning = await first.encodePrompt({ prompt: 'x' });
    await first.sample({ conditioning, width: 64, height: 64, steps: 1 });
    expect(sizes(1)).toEqual([64]);
    expect((await second.estimate(square(64))).fits).toBe(true);
    await second.txt2img(square(64));
    expect([sizes(1), sizes(2)]).toEqual([[], [64]]);
    await runtime.dispose();
  });

  it('of an operation that was aborted are found when others need the room', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 800, total: 1000 });
    const [first, second] = [await load(), await load({ checkpoint: wholeCheckpoint('b') })];
    const conditioning = await first.encodePrompt({ prompt: 'x' });
    const controller = new AbortController();
    fake.hold.add('sample');
    const { signal } = controller;
    const sampling = first.sample({ conditioning, width: 64, height: 64, steps: 1, signal });
    await until(() => sizes(1).length > 0);
    controller.abort();
    await failure(sampling).catch(() => undefined);
    fake.hold.delete('sample');
    await turns(20);
    await second.txt2img({ ...square(64), tiling: false });
    expect([sizes(1), sizes(2)]).toEqual([[], [64]]);
    await runtime.dispose();
  });

  it('that the backend has let go by itself count again', async () => {
    const { fake, runtime, load } = await compiling({ compiled: 400, total: 10_000 });
    const model = await load();
    await model.txt2img(square(64));
    const diffusion = async () => (await model.estimate(square(64))).diffusion;
    const before = await diffusion();
    fake.graphs.set(1, []);
    await model.txt2img(square(128));
    expect((await diffusion()) - before).toBe(400 * mib);
    await runtime.dispose();
  });

  it('of a model that fails to answer are no matter of the job that lacks memory', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 400, total: 1000 });
    const [first, second] = [await load(), await load({ checkpoint: wholeCheckpoint('b') })];
    await first.txt2img(square(64));
    await second.txt2img(square(64));
    fake.hold.add('releaseCompiled');
    let failed = 0;
    const answer = setInterval(() => {
      for (const call of fake.of('releaseCompiled')) {
        if (call.settled) continue;
        if (call.model === 2) call.release();
        else failed++;
        call.fail('ERR_ENGINE', 'broken');
      }
    }, 1);
    await second.txt2img(square(128)).finally(() => {
      clearInterval(answer);
    });
    expect(failed).toBeGreaterThan(0);
    expect(sizes(2)).toEqual([128]);
    await runtime.dispose();
  });

  it('of a model that works for another job are not touched by one that only enlarges', async () => {
    const upscaler = { bytes: mib, graph: () => 2500 * mib };
    const { fake, load } = await compiling({ compiled: 20, total: 100_000, weights: 100, limit: 3000, upscaler });
    const checkpoint = wholeCheckpoint('a');
    const [first, second] = [await load({ checkpoint }), await load({ checkpoint: wholeCheckpoint('b') })];
    const file = fakeFile('esrgan', ['upscaler']);
    const held = (op: 'sample' | 'loadUpscaler', of: (model: number) => boolean) =>
      fake.calls.find((call) => call.op === op && of(call.model) && !call.settled);
    const [none, isSecond] = [(model: number) => model === 0, (model: number) => model === 2];
    const isFirst = (model: number) => model === 1;
    // Its upscaler has no room beside the models, so it enlarges without them.
    fake.hold.add('loadUpscaler');
    const enlarging = first.txt2img({
      ...square(64),
      steps: 4,
      hires: { upscaler: { file, tileSize: 256 }, steps: 2 },
    });
    await until(() => held('loadUpscaler', none) !== undefined);
    fake.hold.add('sample');
    const refined = second.txt2img({
      ...{ ...square(64), steps: 4 },
      refiner: { checkpoint, switchAt: 0.5 },
    });
    await until(() => held('sample', isSecond) !== undefined);
    await turns(5);
    held('sample', isSecond)?.release();
    await until(() => held('sample', isFirst) !== undefined);
    await turns(5);
    // The other job's refiner, which is the first model, works now.
    const asked = fake.of('releaseCompiled').filter(({ model }) => isFirst(model)).length;
    held('loadUpscaler', none)?.release();
    await turns(300);
    expect(fake.of('releaseCompiled').filter(({ model }) => isFirst(model))).toHaveLength(asked);
    fake.hold.clear();
    const release = setInterval(() => {
      for (const call of fake.calls) if (!call.settled) call.release();
    }, 1);
    await Promise.all([enlarging, refined]).finally(() => {
      clearInterval(release);
    });
  });

  it('are not asked for where nothing is compiled', async () => {
    const { fake, runtime, load } = await compiling({ compiled: 0, total: 1000 });
    const model = await load();
    await model.txt2img(square(64));
    expect(fake.of('releaseCompiled')).toEqual([]);
    await runtime.dispose();
  });
});
