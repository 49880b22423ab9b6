import { describe, expect, it } from 'vitest';
import type { NativeCompileEvent } from '../../lib/native/index.js';
import { cpuDevice, type FakeOptions } from '../support/fakeAddon.js';
import { fakeRuntime, tinyCheckpoint } from '../support/fakeModel.js';
import { failure } from '../support/native.js';
import { fakeFile } from '../support/fakeFiles.js';
import { twoModels, weighing } from '../support/fakeCheckpoints.js';

const mib = 2 ** 20;
const request = { prompt: 'x', width: 64, height: 64, steps: 2, seed: 1 };
type Component = NativeCompileEvent['component'];
const signatures = ['textEncoder', 'diffusionModel', 'controlNet', 'vae', 'upscaler'] as const;
/** The graph of a component for one size, as it is measured: MiB. */
const asks = (component: Component, size: number, bytes = 400) => ({
  ...{ graph: mib, work: 0 },
  compiled: [{ signature: 10 * size + signatures.indexOf(component), bytes: bytes * mib }],
});
let graphs = 0;
/** The same as it is compiled. */
const compiles = (component: Component, size = 64): NativeCompileEvent => ({
  ...{ type: 'compile', component, reason: 'new size or network', nodes: 9, ms: 1, bytes: 400 * mib },
  graph: ++graphs,
  signature: 10 * size + signatures.indexOf(component),
});

describe('memory of compiled graphs', () => {
  it('counts once, and again when they have left with the weights of their model', async () => {
    const heavy = weighing(1000 * mib);
    const two = await twoModels(heavy, {
      infoOf: () => heavy,
      runtime: { memoryLimit: 5000 * mib },
      memory: ({ prompts, width }) => (prompts.length > 0 ? { diffusion: asks('diffusionModel', width) } : {}),
    });
    const diffusion = async (): Promise<number> => (await two.model.estimate(request)).diffusion;
    const before = await diffusion();
    expect(before).toBeGreaterThanOrEqual(400 * mib);
    // The engine tells of it once, as long as the weights stay.
    let kept = false;
    two.fake.events = (op) => (op === 'sample' && !kept ? ((kept = true), [compiles('diffusionModel')]) : []);
    await two.model.txt2img(request);
    expect(before - (await diffusion())).toBe(400 * mib);
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    expect(two.fake.disposedModels).toEqual([1]);
    expect(await diffusion()).toBe(before);
    await two.runtime.dispose();
  });

  it('of all networks of a job counts together, however few the cache would keep', async () => {
    const peak = async (cacheSize: string): Promise<number> => {
      const { runtime } = await fakeRuntime({
        devices: [{ ...cpuDevice, name: 'OpenVINO', type: 'accel', backend: 'OpenVINO' }],
        runtime: { backend: 'openvino', openvino: { cacheSize } },
        memory: ({ prompts, decode }) => ({
          ...(prompts.length > 0 ? { textEncoder: asks('textEncoder', 0), diffusion: asks('diffusionModel', 64) } : {}),
          ...(decode ? { vaeDecode: asks('vae', 64) } : {}),
        }),
      });
      const model = await runtime.loadModel({ checkpoint: tinyCheckpoint() });
      const estimate = await model.estimate(request);
      await runtime.dispose();
      return estimate.peak;
    };
    const least = await peak('1MiB');
    expect(least).toBeGreaterThanOrEqual(3 * 400 * mib);
    expect(await peak('8GiB')).toBe(least);
  });

  it('of previews by the VAE counts once with that of decoding', async () => {
    const diffusion = asks('diffusionModel', 64);
    const peak = async (decoder: number, previews: number): Promise<number> => {
      const memory: NonNullable<FakeOptions['memory']> = ({ prompts, preview, decode }) => ({
        ...(prompts.length > 0 ? { diffusion } : {}),
        // All graphs of a run with previews.
        ...(preview === 'none'
          ? {}
          : { preview: { ...diffusion, compiled: [...diffusion.compiled, ...asks('vae', previews).compiled] } }),
        ...(decode ? { vaeDecode: asks('vae', decoder) } : {}),
      });
      const two = await twoModels({}, { memory });
      const looking = { ...request, preview: { mode: 'vae' }, onPreview: () => undefined } as const;
      const estimate = await two.model.estimate(looking);
      await two.runtime.dispose();
      return estimate.peak;
    };
    // A decoder with tiles is another graph.
    const [once, twice] = [await peak(64, 64), await peak(8, 64)];
    expect(once).toBeLessThan(810 * mib);
    expect(twice).toBeGreaterThan(1200 * mib);
  });
});

describe('a job that does not fit', () => {
  it('is told that the CPU backend compiles nothing, where compiling takes memory', async () => {
    const message = async (compiled: number): Promise<string> => {
      const memory: NonNullable<FakeOptions['memory']> = ({ prompts }) =>
        prompts.length > 0 ? { diffusion: { ...asks('diffusionModel', 64, compiled), graph: 900 * mib } } : {};
      const two = await twoModels({}, { runtime: { memoryLimit: 700 * mib }, memory });
      const error = await failure(two.model.txt2img(request));
      await two.runtime.dispose();
      expect(error.code).toBe('ERR_OUT_OF_MEMORY');
      return error.message;
    };
    expect(await message(300)).toContain("backend: 'cpu', which compiles nothing: 300 MiB less");
    expect(await message(0)).not.toContain("backend: 'cpu'");
  });
});

describe('a job whose networks do not fit together', () => {
  it('is told to make its stages by themselves where each fits, which lets go of the others', async () => {
    const memory: NonNullable<FakeOptions['memory']> = ({ prompts, sample, decode }) => ({
      ...(prompts.length > 0 ? { textEncoder: asks('textEncoder', 0, 500) } : {}),
      ...(sample && prompts.length > 0 ? { diffusion: asks('diffusionModel', 64, 600) } : {}),
      ...(decode ? { vaeDecode: asks('vae', 64, 100) } : {}),
    });
    const message = async (limit: number): Promise<string> => {
      const two = await twoModels({}, { runtime: { memoryLimit: limit * mib }, memory });
      const error = await failure(two.model.txt2img(request));
      await two.runtime.dispose();
      expect(error.code).toBe('ERR_OUT_OF_MEMORY');
      return error.message;
    };
    expect(await message(900)).toMatch(/encodePrompt, sample and decodeLatent one after the other: .*needs 60\d/);
    expect(await message(550)).not.toContain('decodeLatent');
  });
});

describe('a plan', () => {
  it('tells what each pass compiles, and nothing for what was compiled before', async () => {
    const two = await twoModels(
      {},
      {
        memory: ({ prompts, decode, width }) => ({
          ...(prompts.length > 0
            ? { textEncoder: asks('textEncoder', 0, 200), diffusion: asks('diffusionModel', width) }
            : {}),
          ...(decode ? { vaeDecode: asks('vae', width, 100) } : {}),
        }),
      },
    );
    const { name: model } = two.model.info;
    const text = { component: 'textEncoder', model, bytes: 200 * mib };
    const diffusion = { component: 'diffusionModel', model, bytes: 400 * mib };
    const vae = { component: 'vae', model, bytes: 100 * mib };
    const hires = { scale: 2, upscaler: 'latent' } as const;
    const plan = await two.model.plan({ ...request, hires });
    expect(plan.passes.map(({ compiles: all }) => all)).toEqual([
      [text, diffusion],
      [diffusion, vae],
    ]);
    const lines = plan.explain().split('\n');
    expect(lines.filter((line) => line.includes('compiles'))).toEqual([
      '  compiles: the text encoder (about 200 MiB), the diffusion model (about 400 MiB)',
      '  compiles: the diffusion model (about 400 MiB), the VAE (about 100 MiB)',
    ]);
    // Two passes of one size share what the first has compiled.
    const same = await two.model.plan({ ...request, hires: { ...hires, scale: 1 } });
    expect(same.passes.map(({ compiles: all }) => all)).toEqual([[text, diffusion], [vae]]);
    let passes = 0;
    two.fake.events = (op) =>
      op === 'encodePrompt'
        ? [compiles('textEncoder', 0)]
        : op === 'sample'
          ? [compiles('diffusionModel', ++passes === 1 ? 64 : 128)]
          : op === 'decodeLatent'
            ? [compiles('vae', 128)]
            : [];
    await two.model.txt2img({ ...request, hires });
    const after = await two.model.plan({ ...request, hires });
    expect(after.passes.flatMap(({ compiles: all }) => all)).toEqual([]);
    expect(after.explain().match(/ {2}compiles: nothing/g)).toHaveLength(2);
    await two.runtime.dispose();
  });
});

describe('events of compilations', () => {
  it('of a ControlNet have the name of the model it works for, which is compiled for itself', async () => {
    const control = asks('controlNet', 64);
    const { compiled, ...rest } = asks('diffusionModel', 64);
    const diffusion = { ...rest, compiled: [...compiled, ...control.compiled] };
    const two = await twoModels({}, { memory: ({ prompts }) => (prompts.length > 0 ? { diffusion } : {}) });
    const before = (await two.model.estimate(request)).diffusion;
    two.fake.events = (op) => (op === 'sample' ? [compiles('controlNet')] : []);
    const told: string[] = [];
    await two.model.txt2img({
      ...request,
      onModel: ({ action, component = '', model }) => void (action === 'compile' && told.push(`${component} ${model}`)),
    });
    expect(told).toEqual([`controlNet ${two.model.info.name}`]);
    expect(before - (await two.model.estimate(request)).diffusion).toBe(400 * mib);
    await two.runtime.dispose();
  });

  it('have the name of the model whose graph it is, an upscaler its own', async () => {
    const two = await twoModels();
    const networks = { encodePrompt: 'textEncoder', sample: 'diffusionModel', upscale: 'upscaler' } as const;
    two.fake.events = (op) => (op in networks ? [compiles(networks[op as keyof typeof networks])] : []);
    const told = new Set<string>();
    await two.model.txt2img({
      ...request,
      hires: { upscaler: { file: fakeFile('esrgan', ['upscaler']) } },
      onModel: ({ action, component = '', model }) => void (action === 'compile' && told.add(`${component} ${model}`)),
    });
    const { name } = two.model.info;
    const [upscaler = '', ...others] = [...told].filter((text) => text.startsWith('upscaler'));
    expect(upscaler).toMatch(/^upscaler esrgan/);
    expect(others).toEqual([]);
    expect(told).toEqual(new Set([`textEncoder ${name}`, `diffusionModel ${name}`, upscaler]));
    await two.runtime.dispose();
  });
});
