import { describe, expect, it } from 'vitest';
import type { LoadModelOptions, Model, ModelEvent } from '../../lib/index.js';
import type { NativeDevice, NativeMeasureParams, NativeSampleParams } from '../../lib/native/index.js';
import { cpuDevice, type FakeAddon, fakeInfo, until } from '../support/fakeAddon.js';
import { wholeCheckpoint } from '../support/fakeFiles.js';
import { fakeRuntime } from '../support/fakeModel.js';
import { failure } from '../support/native.js';

const mib = 2 ** 20;
const square = (edge: number) => ({ prompt: 'x', width: edge, height: edge, steps: 1, seed: 1 });
const components = fakeInfo.components.map((component) => ({ ...component, device: 'Accel', bytes: 0 }));

interface Sizes {
  /** Of the compiled graph of one size, and of what a job takes while it runs. */
  readonly compiled: number;
  readonly graph: (params: NativeMeasureParams) => number;
  readonly total: number;
  /** MiB that decoding takes without and with tiles. */
  readonly decode?: readonly [whole: number, tiled: number];
  readonly weights?: number;
}

/** A device that compiles the diffusion model for every size, and whose memory its graphs fill. All numbers in MiB. */
async function compiling({ compiled, graph, total, decode = [0, 0], weights = 0 }: Sizes) {
  const made: { addon?: FakeAddon } = {};
  let numbers = 0;
  const kept = (): number => [...(made.addon?.graphs.values() ?? [])].flat().reduce((sum, { bytes }) => sum + bytes, 0);
  const device: NativeDevice = {
    ...{ ...cpuDevice, name: 'Accel', type: 'gpu', backend: 'Vulkan' },
    get memoryFree() {
      const loaded = (made.addon?.loads.size ?? 0) - (made.addon?.disposedModels.length ?? 0);
      return total * mib - kept() - 3 * weights * mib * loaded;
    },
  };
  const { fake, runtime } = await fakeRuntime({
    devices: [cpuDevice, device],
    runtime: { device: 'Accel' },
    infoOf: () => ({ components: components.map((component) => ({ ...component, bytes: weights * mib })) }),
    memory: (params) => ({
      ...(params.prompts.length > 0
        ? {
            diffusion: {
              ...{ graph: graph(params) * mib, work: 0 },
              compiled: compiled === 0 ? [] : [{ signature: params.width, bytes: compiled * mib }],
            },
          }
        : {}),
      ...(params.decode
        ? { vaeDecode: { graph: (params.decodeTiling.enabled ? decode[1] : decode[0]) * mib, work: 0 } }
        : {}),
    }),
  });
  made.addon = fake;
  const known = new Map<number, string>();
  // As a backend that compiles does: what is kept is not compiled again, and what is used comes first.
  fake.events = (op, params, model) => {
    if (op !== 'sample') return [];
    const width = 8 * ((params as NativeSampleParams).latent.shape[3] ?? 0);
    const graphs = fake.graphs.get(model) ?? [];
    const found = graphs.findIndex((entry) => known.get(entry.graph) === `${String(model)} ${String(width)}`);
    if (found >= 0) {
      graphs.unshift(...graphs.splice(found, 1));
      return [];
    }
    known.set(++numbers, `${String(model)} ${String(width)}`);
    return [
      {
        ...{ type: 'compile', component: 'diffusionModel', reason: 'new size or network', nodes: 9, ms: 1 },
        ...{ bytes: compiled * mib, graph: numbers, signature: width },
      },
    ];
  };
  const load = (options: LoadModelOptions = {}): Promise<Model> =>
    runtime.loadModel({ checkpoint: wholeCheckpoint('a'), ...options });
  /** Sizes that a model keeps, the one used last first. */
  const sizes = (model = 1): number[] =>
    (fake.graphs.get(model) ?? []).map(({ graph: number }) => Number((known.get(number) ?? '').split(' ')[1]));
  return { fake, runtime, load, sizes };
}

const compiles: string[] = [];
const listen = {
  onModel: ({ action, component }: ModelEvent): void => void (action === 'compile' && compiles.push(component ?? '')),
};

describe('compiled graphs that are kept', () => {
  it('go for a job of another size, the least recently used first and no more than it needs', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 400, graph: () => 10, total: 1000 });
    const model = await load();
    await model.txt2img(square(64));
    await model.txt2img(square(128));
    await model.txt2img(square(64));
    expect(sizes()).toEqual([64, 128]);
    compiles.length = 0;
    const { fits } = await model.estimate(square(192));
    expect(fits).toBe(true);
    await model.txt2img({ ...square(192), ...listen });
    expect(sizes()).toEqual([192, 64]);
    expect(compiles).toEqual(['diffusionModel']);
    // The one that went counts again, the ones that stay do not.
    const compiledOf = async (edge: number) => (await model.plan(square(edge))).passes[0]?.compiles ?? [];
    expect(await compiledOf(64)).toEqual([]);
    expect(await compiledOf(128)).toMatchObject([{ component: 'diffusionModel', bytes: 400 * mib }]);
    await model.txt2img(square(128));
    expect(sizes()).toEqual([128, 192]);
    expect(fake.of('releaseCompiled').filter(({ params }) => params.bytes > 0)).toHaveLength(2);
    await runtime.dispose();
  });

  it('stay where there is room', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 400, graph: () => 10, total: 10_000 });
    const model = await load();
    for (const edge of [64, 128, 192, 64]) await model.txt2img(square(edge));
    expect(sizes()).toEqual([64, 192, 128]);
    expect(fake.of('releaseCompiled').every(({ params }) => params.bytes === 0)).toBe(true);
    await runtime.dispose();
  });

  it('stay where the job asks for them, and it is refused with the numbers when that is too much', async () => {
    let large = 10;
    const graph = ({ width, imageGuidance }: NativeMeasureParams): number => (imageGuidance || width > 64 ? 10 : large);
    const { runtime, load, sizes } = await compiling({ compiled: 300, graph, total: 1000 });
    const model = await load();
    for (const edge of [128, 192, 64]) await model.txt2img(square(edge));
    expect(sizes()).toEqual([64, 192, 128]);
    // Another shape of the same size: it has room beside its own graph when the others have gone.
    large = 650;
    compiles.length = 0;
    const looking = { ...square(64), preview: { mode: 'projection' }, onPreview: () => undefined } as const;
    await model.txt2img({ ...looking, ...listen });
    expect(sizes()).toEqual([64]);
    large = 750;
    const error = await failure(model.txt2img({ ...looking, negativePrompt: 'y', cfgScale: 3 }));
    expect(error.code).toBe('ERR_OUT_OF_MEMORY');
    await runtime.dispose();
  });

  it('go before tiles are taken', async () => {
    const sizesOf = { compiled: 400, graph: () => 10, total: 1000, decode: [550, 10] } as const;
    const { fake, runtime, load, sizes } = await compiling(sizesOf);
    const model = await load();
    const tiled = async (edge: number): Promise<boolean | undefined> => {
      const { warnings } = await model.txt2img(square(edge));
      expect(warnings).toEqual([]);
      return fake.of('decodeLatent').at(-1)?.params.tiling.enabled;
    };
    expect(await tiled(64)).toBe(false);
    expect((await model.estimate(square(128))).tileSize).toBeNull();
    expect(await tiled(128)).toBe(false);
    expect(sizes()).toEqual([128]);
    await runtime.dispose();
  });

  it('of another model go while that does nothing, and wait for it while it works', async () => {
    const { fake, runtime, load, sizes } = await compiling({ compiled: 400, graph: () => 10, total: 1000 });
    const [first, second] = [await load(), await load({ checkpoint: wholeCheckpoint('b') })];
    await first.txt2img(square(64));
    await first.txt2img(square(128));
    await second.txt2img(square(64));
    expect([sizes(1), sizes(2)]).toEqual([[128], [64]]);
    // The first works: what it has stays until it has done so, however long that takes.
    fake.hold.add('sample');
    const running = first.txt2img(square(128));
    await until(() => fake.of('sample').some(({ model, settled }) => model === 1 && !settled));
    fake.hold.delete('sample');
    const waiting = second.txt2img(square(128));
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(sizes(1)).toEqual([128]);
    fake.of('sample').at(-1)?.release();
    await running;
    await waiting;
    expect(sizes(2)).toContain(128);
    expect(sizes(1).length + sizes(2).length).toBe(2);
    await runtime.dispose();
  });

  it('go for a model that is loaded, before weights that nobody needs', async () => {
    const { fake, runtime, load, sizes } = await compiling({
      compiled: 300,
      graph: () => 10,
      total: 1000,
      weights: 50,
    });
    const model = await load();
    const hires = { checkpoint: wholeCheckpoint('b'), scale: 1 } as const;
    await model.txt2img({ ...square(64), hires });
    expect([sizes(1), sizes(2)]).toEqual([[64], [64]]);
    await load({ checkpoint: wholeCheckpoint('c') });
    expect(fake.disposedModels).toEqual([]);
    expect(sizes(1).length + sizes(2).length).toBe(1);
    await runtime.dispose();
  });

  it('that the backend has let go by itself count again', async () => {
    const { fake, runtime, load } = await compiling({ compiled: 400, graph: () => 10, total: 10_000 });
    const model = await load();
    await model.txt2img(square(64));
    const diffusion = async () => (await model.estimate(square(64))).diffusion;
    const before = await diffusion();
    fake.graphs.set(1, []);
    await model.txt2img(square(128));
    expect((await diffusion()) - before).toBe(400 * mib);
    await runtime.dispose();
  });

  it('are not asked for where nothing is compiled', async () => {
    const { fake, runtime, load } = await compiling({ compiled: 0, graph: () => 10, total: 1000 });
    fake.events = () => [];
    const model = await load();
    await model.txt2img(square(64));
    expect(fake.of('releaseCompiled')).toEqual([]);
    await runtime.dispose();
  });
});
