import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createRuntime,
  type GeneratedImage,
  type LoadModelOptions,
  type Model,
  type ModelEvent,
  type Runtime,
  type RuntimeOptions,
  type Txt2ImgRequest,
} from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { edge, expectPicture, hashes, only, paint, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { draw } from '../support/sdcli/index.js';
import { shapeRequests } from '../support/shapeRequests.js';
import { syntheticBytes, writeSynthetic } from '../support/synthetic/index.js';
import { writeUpscaler } from '../support/upscaler.js';

const log: string[] = [];
const open = (options: RuntimeOptions = {}): Promise<Runtime> =>
  createRuntime({
    ...{ backend: 'openvino', threads, logLevel: 'info' },
    ...options,
    logger: (_level, line) => void log.push(line),
  });
/** OpenVINO compiled something since the last call, and nothing of it is left to the CPU backend. */
const expectWhole = (): void => {
  const lines = log.splice(0).join('\n');
  expect(lines).toContain('openvino: compiled');
  expect(lines).not.toContain('left to the CPU backend');
};

interface Case {
  readonly what: string;
  readonly load?: LoadModelOptions;
  readonly request?: Partial<Txt2ImgRequest>;
  /** Networks that OpenVINO gets. Default: all. */
  readonly compiled?: readonly string[];
  /** In dB. Default: 50. */
  readonly atLeast?: number;
}

const [textEncoder, diffusionModel, vae] = ['textEncoder', 'diffusionModel', 'vae'] as const;
const cases: readonly Case[] = [
  { what: 'flash attention', load: { flashAttention: true } },
  { what: 'direct convolutions', load: { diffusionConvDirect: true, vaeConvDirect: true } },
  // The CPU backend rounds activations to 8 bits where weights are packed, OpenVINO does not; openvino_patterns_test.cpp
  // holds such products to 1e-4 of those of the unpacked weights.
  { what: 'weights of q8_0', load: { weightType: 'q8_0' }, atLeast: 40 },
  { what: 'weights of q4_0', load: { weightType: 'q4_0' }, atLeast: 40 },
  { what: 'the VAE on the CPU', load: { vaeOnCpu: true }, compiled: [textEncoder, diffusionModel] },
  { what: 'the text encoder on the CPU', load: { textEncoderOnCpu: true }, compiled: [diffusionModel, vae] },
  { what: 'tiles of the VAE', request: { width: 2 * edge, tiling: { tileSize: 8, overlap: 0.25 } } },
];

describe('options of a whole model', () => {
  const runtimes: Partial<Record<'cpu' | 'openvino', Runtime>> = {};
  beforeAll(async () => {
    runtimes.cpu = await createRuntime({ backend: 'cpu', threads });
    runtimes.openvino = await open();
  });
  afterAll(async () => {
    await Promise.all([runtimes.cpu, runtimes.openvino].map((runtime) => runtime?.dispose({ abort: true })));
  });

  it.each(cases)('$what: the picture of the CPU backend', async ({ load, request, compiled, atLeast = 50 }) => {
    const events: ModelEvent[] = [];
    const picture = async (backend: 'cpu' | 'openvino'): Promise<GeneratedImage> => {
      await using model = (await runtimes[backend]?.loadModel(load ?? {})) as Model;
      const onModel = (event: ModelEvent): void => void (event.action === 'compile' && events.push(event));
      return only(await model.txt2img({ ...tiny, ...request, onModel }));
    };
    const [wanted, got] = [await picture('cpu'), await picture('openvino')];
    expectWhole();
    const networks = events.map(({ component }) => component);
    expect([...new Set(networks)]).toEqual(compiled ?? [textEncoder, diffusionModel, vae]);
    expectPicture(got, request?.width);
    expect(psnr(got.data, wanted.data)).toBeGreaterThan(atLeast);
  });

  it('an isolated process makes the same bytes', async () => {
    const load = async (runtime: Runtime) => runtime.loadModel();
    await using here = await load(runtimes.openvino as Runtime);
    const wanted = hashes(await here.txt2img(tiny));
    log.splice(0);
    await using runtime = await open({ isolation: 'process' });
    await using there = await load(runtime);
    expect(hashes(await there.txt2img(tiny))).toEqual(wanted);
    expectWhole();
  });

  const scratch = useScratch(50e6);
  it('an ESRGAN upscaler enlarges a picture as the CPU backend does', async () => {
    const file = scratch.path('upscaler.safetensors');
    await writeUpscaler(file, { scale: 2, weights: { seed: 1 } });
    const image = paint((x, y) => [(x * 5) % 256, (y * 3) % 256, (x * y) % 256]);
    const enlarge = async (backend: 'cpu' | 'openvino') => {
      await using upscaler = await (runtimes[backend] as Runtime).loadUpscaler({ file });
      return upscaler.upscale({ image });
    };
    const [wanted, got] = [await enlarge('cpu'), await enlarge('openvino')];
    expectWhole();
    expectPicture(got, 2 * edge, 2 * edge);
    expect(psnr(got.data, wanted.data)).toBeGreaterThan(50);
  });
});

describe('a ControlNet', () => {
  const scratch = useScratch((syntheticBytes('sd1') + syntheticBytes('sd1-control')) * 1.05);

  it('steers the picture as on the CPU backend', async () => {
    const files = { checkpoint: scratch.path('sd1.safetensors'), controlNet: scratch.path('control.safetensors') };
    await writeSynthetic('sd1', files.checkpoint, { seed: 1 });
    await writeSynthetic('sd1-control', files.controlNet, { seed: 2 });
    const picture = async (backend: 'cpu' | 'openvino', mode: 'txt2img' | 'control'): Promise<GeneratedImage> => {
      // Room for UNet and ControlNet, which take turns, and for nothing else.
      const openvino = backend === 'openvino' ? { cacheSize: '6GiB' } : undefined;
      await using runtime = await open({ backend, openvino });
      const model = await runtime.loadModel({ ...files, rng: 'cpu' });
      const image = only(await draw(model, shapeRequests(mode)));
      // Its bytes are where it works.
      const { byDevice } = await model.memory();
      expect(Object.keys(byDevice)).toEqual([backend === 'openvino' ? 'OpenVINO' : 'CPU']);
      return image;
    };
    const plain = await picture('cpu', 'txt2img');
    const wanted = await picture('cpu', 'control');
    log.splice(0);
    const got = await picture('openvino', 'control');
    expectWhole();
    expect(psnr(plain.data, wanted.data)).toBeLessThan(40);
    expect(psnr(got.data, wanted.data)).toBeGreaterThan(50);
  });
});
