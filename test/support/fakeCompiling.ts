import type { LoadModelOptions, Model, Runtime } from '../../lib/index.js';
import type {
  NativeDecodeParams,
  NativeDevice,
  NativeMeasureParams,
  NativeSampleParams,
} from '../../lib/native/index.js';
import { cpuDevice, type FakeAddon, type FakeOp, type FakeOptions, fakeInfo } from './fakeAddon.js';
import { wholeCheckpoint } from './fakeFiles.js';
import { fakeRuntime } from './fakeModel.js';

const mib = 2 ** 20;
const tiles = 7;

/** All numbers in MiB. */
export interface CompilingSizes {
  /** Of the compiled graph of one size. */
  readonly compiled: number;
  /** That a job takes while it runs. Default: 10. */
  readonly graph?: (params: NativeMeasureParams) => number;
  readonly total: number;
  /** That decoding takes without and with tiles. Default: nothing. */
  readonly decode?: readonly [whole: number, tiled: number];
  /** Of the decoder's graph of one size, and of its tiles. Default: it is not compiled. */
  readonly decoder?: number;
  /** Of each part of a model. Default: nothing. */
  readonly weights?: number;
  /** The runtime's memoryLimit. Default: none. */
  readonly limit?: number;
  /** Bytes, as the fake addon has them. */
  readonly upscaler?: FakeOptions['upscaler'];
  /** What a graph really takes of what it says. Default: 1. */
  readonly real?: number;
}

export interface Compiling {
  readonly fake: FakeAddon;
  readonly runtime: Runtime;
  readonly load: (options?: LoadModelOptions) => Promise<Model>;
  /** Sizes whose diffusion graph a model keeps, the one used last first; the model is known by the order of loads. */
  readonly sizes: (model?: number) => number[];
}

/** A device that compiles a graph for every size, as OpenVINO does, and whose memory these graphs fill. */
export async function compiling(given: CompilingSizes): Promise<Compiling> {
  const {
    compiled,
    graph = () => 10,
    total,
    decode = [0, 0],
    decoder = 0,
    weights = 0,
    real = 1,
    limit,
    upscaler,
  } = given;
  const made: { addon?: FakeAddon } = {};
  const kept = (): number => [...(made.addon?.graphs.values() ?? [])].flat().reduce((sum, { bytes }) => sum + bytes, 0);
  const device: NativeDevice = {
    ...{ ...cpuDevice, name: 'Accel', type: 'gpu', backend: 'Vulkan' },
    get memoryFree() {
      const loaded = (made.addon?.loads.size ?? 0) - (made.addon?.disposedModels.length ?? 0);
      return total * mib - real * kept() - 3 * weights * mib * loaded;
    },
  };
  const asks = (signature: number, bytes: number) => (bytes === 0 ? [] : [{ signature, bytes: bytes * mib }]);
  const decoderOf = (tiled: boolean, width: number): number => (tiled ? tiles : 100_000 + width);
  const { fake, runtime } = await fakeRuntime({
    devices: [cpuDevice, device],
    runtime: { device: 'Accel', ...(limit === undefined ? {} : { memoryLimit: limit * mib }) },
    ...(upscaler === undefined ? {} : { upscaler }),
    infoOf: () => ({
      components: fakeInfo.components.map((component) => ({ ...component, device: 'Accel', bytes: weights * mib })),
    }),
    memory: (params) => {
      const { prompts, sample, width, decode: decodes, decodeTiling } = params;
      const tiled = decodeTiling.enabled;
      return {
        ...(sample && prompts.length > 0
          ? { diffusion: { graph: graph(params) * mib, work: 0, compiled: asks(width, compiled) } }
          : {}),
        ...(decodes
          ? {
              vaeDecode: {
                ...{ graph: (tiled ? decode[1] : decode[0]) * mib, work: 0 },
                compiled: asks(decoderOf(tiled, width), decoder),
              },
            }
          : {}),
      };
    },
  });
  made.addon = fake;
  let numbers = 0;
  /** What an operation computes with; undefined: nothing that is compiled. */
  const signatureOf = (op: FakeOp, params: unknown): number | undefined => {
    if (op === 'sample') return compiled === 0 ? undefined : 8 * ((params as NativeSampleParams).latent.shape[3] ?? 0);
    if (op !== 'decodeLatent' || decoder === 0) return undefined;
    const { latent, tiling } = params as NativeDecodeParams;
    return decoderOf(tiling.enabled, 8 * (latent.shape[3] ?? 0));
  };
  fake.events = (op, params, model) => {
    const signature = signatureOf(op, params);
    if (signature === undefined) return [];
    const graphs = fake.graphs.get(model) ?? [];
    const found = graphs.findIndex((entry) => entry.signature === signature);
    if (found >= 0) {
      graphs.unshift(...graphs.splice(found, 1));
      return [];
    }
    return [
      {
        ...{ type: 'compile', component: op === 'sample' ? 'diffusionModel' : 'vae', reason: 'new size or network' },
        ...{ nodes: 9, ms: 1, bytes: (op === 'sample' ? compiled : decoder) * mib, graph: ++numbers, signature },
      },
    ];
  };
  return {
    ...{ fake, runtime },
    load: (options = {}) => runtime.loadModel({ checkpoint: wholeCheckpoint('a'), ...options }),
    sizes: (model = 1) =>
      (fake.graphs.get(model) ?? []).flatMap(({ signature }) =>
        signature === tiles || signature > 100_000 ? [] : [signature],
      ),
  };
}
