import type {
  NativeAddon,
  NativeConditioning,
  NativeCountTokensParams,
  NativeDecodeParams,
  NativeDevice,
  NativeEncodeImageParams,
  NativeEncodePromptParams,
  NativeEvent,
  NativeImage,
  NativeJob,
  NativeJobMemory,
  NativeKeptGraph,
  NativeLoadOptions,
  NativeMeasureParams,
  NativeModel,
  NativeModelFiles,
  NativeModelInfo,
  NativeNoiseParams,
  NativeReleaseParams,
  NativeSampleParams,
  NativeSigmaParams,
  NativeTensor,
  NativeTensorInfo,
  NativeUnloadedJob,
  NativeUnloadedUpscaler,
  NativeUpscaleParams,
  NativeUpscalerOptions,
  NativeUpscaleSize,
  NativeWeightsPlan,
} from '../../lib/native/contract.js';
import {
  countWords,
  fakeLatent,
  fakeNoise,
  fakeResult,
  fakeSample,
  fakeSigmas,
  noMemory,
  picture,
  releaseGraphs,
} from './fakeValues.js';

export { fakeNoise, fakeSigmas, picture } from './fakeValues.js';

export interface FakeParams {
  loadModel: NativeLoadOptions;
  measureLoad: NativeLoadOptions;
  measureJob: NativeUnloadedJob;
  measure: NativeMeasureParams;
  loadUpscaler: NativeUpscalerOptions;
  measureUpscaler: NativeUnloadedUpscaler;
  measureUpscale: NativeUpscaleSize;
  encodePrompt: NativeEncodePromptParams;
  countTokens: NativeCountTokensParams;
  sigmas: NativeSigmaParams;
  noise: NativeNoiseParams;
  sample: NativeSampleParams;
  encodeImages: NativeEncodeImageParams;
  decodeLatent: NativeDecodeParams;
  upscale: NativeUpscaleParams;
  tensors: undefined;
  convertNames: readonly string[];
  applyWeights: NativeWeightsPlan;
  applyRuntime: NativeWeightsPlan;
  weightsDigest: undefined;
  readTensor: string;
  weightsMemory: undefined;
  releaseBackups: boolean;
  releaseCompiled: NativeReleaseParams;
  inspect: unknown;
}

export type FakeOp = keyof FakeParams;

/** One call of a fake operation, with what a test can do to it. */
export interface FakeCall<Op extends FakeOp = FakeOp> {
  readonly op: Op;
  readonly params: FakeParams[Op];
  /** Number of the model, from 1; 0: of no model. */
  readonly model: number;
  cancelled: boolean;
  settled: boolean;
  /** It has given its result, perhaps after it was cancelled. */
  done: boolean;
  /** Sends an event, as the native side would. */
  emit(event: NativeEvent): void;
  /** Ends a held call. */
  release(): void;
  /** Ends a cancelled call that `slowCancel` holds. */
  letGo(): void;
  fail(code: string, message: string): void;
}

export interface FakeConditioning extends NativeConditioning {
  readonly prompt: string;
  disposed: boolean;
}

export interface FakeOptions {
  readonly info?: Partial<NativeModelInfo>;
  /** What differs from `info`, by the files of a model: two checkpoints need not be alike. */
  readonly infoOf?: (files: NativeLoadOptions['files']) => Partial<NativeModelInfo>;
  /** What an encoded picture is filled with. Default: its place among those that are encoded together. */
  readonly encodes?: (image: NativeImage) => number;
  /** What sampling makes. Default: the start latent with the seed as its first number. */
  readonly samples?: (params: NativeSampleParams) => NativeTensor;
  readonly devices?: readonly NativeDevice[];
  /** Tensors of every model. */
  readonly tensors?: readonly NativeTensorInfo[];
  /** Bytes of every conditioning. */
  readonly conditioningBytes?: number;
  /** Words of a prompt that its text encoder reads. Default: all. */
  readonly promptLimit?: number;
  /** Weights of an upscaler, and the graph of one of its pieces. */
  readonly upscaler?: { readonly bytes?: number; readonly graph?: (size: NativeUpscaleSize) => number };
  /** Sizes that `measure` answers with. */
  readonly memory?: (params: NativeMeasureParams, files?: NativeModelFiles) => Partial<NativeJobMemory>;
}

export const fakeInfo: NativeModelInfo = {
  architecture: 'SD 1.x',
  latentChannels: 4,
  concatChannels: 0,
  scaleFactor: 8,
  sizeMultiple: 64,
  defaultSampler: 'euler_a',
  defaultSchedule: 'discrete',
  prediction: 'eps',
  isInpaint: false,
  isEdit: false,
  isControl: false,
  isDit: false,
  isVideo: false,
  isSdxl: false,
  hasControlNet: false,
  usesTaesd: false,
  canEncodeImages: true,
  tensors: 3,
  components: [
    { name: 'textEncoder', bytes: 100, tensors: 1, device: 'CPU' },
    { name: 'diffusionModel', bytes: 200, tensors: 1, device: 'CPU' },
    { name: 'vae', bytes: 50, tensors: 1, device: 'CPU' },
  ],
};

export const cpuDevice: NativeDevice = {
  name: 'CPU',
  description: 'a CPU',
  type: 'cpu',
  backend: 'CPU',
  memoryFree: 1,
  memoryTotal: 2,
};

/**
 * An addon without an engine: every operation answers after a turn of the event loop, records its call, and can be
 * held, failed and cancelled. Like the real one it works off the calls of a model one after the other.
 */
export class FakeAddon {
  readonly calls: FakeCall[] = [];
  /** Operations that wait for `release()`. */
  readonly hold = new Set<FakeOp>();
  /** Cancelled calls wait for `letGo()`, as a native side does that is in the middle of an evaluation. */
  slowCancel = false;
  /** Events that an operation sends before it ends. */
  events: (op: FakeOp, params: unknown, model: number) => NativeEvent[] = () => [];
  logger: ((level: 'debug' | 'info' | 'warn' | 'error', text: string, job: number) => void) | null = null;
  readonly conditionings: FakeConditioning[] = [];
  readonly disposedModels: number[] = [];
  /** Files of upscalers, as they were freed. */
  readonly disposedUpscalers: string[] = [];
  /** Options that each model was loaded with, by its number. */
  readonly loads = new Map<number, NativeLoadOptions>();
  /** Graphs that each model keeps compiled, by its number, most recently used first: those of its events. */
  readonly graphs = new Map<number, NativeKeptGraph[]>();
  readonly addon: NativeAddon;
  readonly #options: FakeOptions;
  #models = 0;

  constructor(options: FakeOptions = {}) {
    this.#options = options;
    this.addon = {
      versions: { engine: '1', engineCommit: 'e', ggml: '2', ggmlCommit: 'g', compiler: 'c', napi: 9 },
      tables: {
        samplers: [],
        schedules: [],
        rngs: [],
        predictions: [],
        previews: [],
        weightTypes: [],
        architectures: [],
      },
      loadBackends: () => [{ file: 'libcpu.so', loaded: true, reason: '' }],
      devices: () => [...(options.devices ?? [cpuDevice])],
      describeBackend: () => '',
      cpuFeatures: () => ({ AVX2: true }),
      setLogger: (_level, logger) => {
        this.logger = logger;
      },
      inspect: (files) => this.#job('inspect', files, 0, null, () => ({ architecture: 'SD 1.x', tensors: [] })),
      measureLoad: (params) =>
        this.#job('measureLoad', params, 0, null, () => ({
          components: this.#infoOf(params).components,
          readBuffers: 0,
          mapped: 0,
          info: { ...this.#infoOf(params), components: [], tensors: 0 },
        })),
      measureJob: (params) =>
        this.#job('measureJob', params, 0, null, () => ({ ...noMemory, ...this.#memory(params.job, params.load) })),
      loadModel: (params, onEvent) =>
        this.#job('loadModel', params, 0, onEvent, () => {
          const model = this.model(this.#infoOf(params));
          this.loads.set(this.#models, params);
          return model;
        }),
      createSharedMemory: () => null,
      openSharedMemory: () => null,
      guardEngineProcess: () => undefined,
      loadUpscaler: (params, onEvent) =>
        this.#job('loadUpscaler', params, 0, onEvent, () => ({
          ...this.#upscalerFacts(),
          upscale: (upscale, listener) =>
            this.#job('upscale', upscale, 0, listener, () =>
              picture(upscale.image.width * 2, upscale.image.height * 2, 1),
            ),
          measure: (size) => this.#job('measureUpscale', size, 0, null, () => this.#upscaleGraph(size)),
          dispose: () => {
            this.disposedUpscalers.push(params.file);
            return Promise.resolve();
          },
        })),
      measureUpscaler: (params) =>
        this.#job('measureUpscaler', params, 0, null, () => ({
          ...this.#upscalerFacts(),
          readBuffers: 0,
          jobs: params.sizes.map((size) => this.#upscaleGraph(size)),
        })),
    };
  }

  /** Models that were made so far; the number of the last. */
  get models(): number {
    return this.#models;
  }

  /** Calls of one operation, in order. */
  of<Op extends FakeOp>(op: Op): FakeCall<Op>[] {
    return this.calls.filter((call): call is FakeCall<Op> => call.op === op);
  }

  model(info: NativeModelInfo = { ...fakeInfo, ...this.#options.info }): NativeModel {
    const id = ++this.#models;
    return {
      info,
      encodePrompt: (params, onEvent) =>
        this.#job('encodePrompt', params, id, onEvent, () => this.#conditioning(params)),
      countTokens: (params) =>
        this.#job('countTokens', params, id, null, () => [countWords(params.prompt, this.#options.promptLimit ?? 0)]),
      sigmas: (params) => this.#job('sigmas', params, id, null, () => fakeSigmas(params.steps)),
      noise: (params) => this.#job('noise', params, id, null, () => fakeNoise(info, params)),
      sample: (params, onEvent) =>
        this.#job('sample', params, id, onEvent, () => (this.#options.samples ?? fakeSample)(params)),
      encodeImages: (params, onEvent) =>
        this.#job('encodeImages', params, id, onEvent, () =>
          params.images.map(({ image }, index) => fakeLatent(info, image, this.#options.encodes?.(image) ?? index + 1)),
        ),
      decodeLatent: (params, onEvent) =>
        this.#job('decodeLatent', params, id, onEvent, () => {
          const [, , height = 0, width = 0] = params.latent.shape;
          return picture(width * info.scaleFactor, height * info.scaleFactor, params.latent.data[0] ?? 0);
        }),
      tensors: () => this.#job('tensors', undefined, id, null, () => [...(this.#options.tensors ?? [])]),
      convertNames: (names) => this.#job('convertNames', names, id, null, () => [...names]),
      applyWeights: (plan, onEvent) => this.#job('applyWeights', plan, id, onEvent, () => fakeResult(plan)),
      applyRuntime: (plan, onEvent) => this.#job('applyRuntime', plan, id, onEvent, () => fakeResult(plan)),
      weightsDigest: () => this.#job('weightsDigest', undefined, id, null, () => []),
      readTensor: (name) => this.#job('readTensor', name, id, null, () => new Uint8Array(4)),
      weightsMemory: () =>
        this.#job('weightsMemory', undefined, id, null, () => ({
          ...{ ramBackup: 0, deviceBackup: 0, cache: 0, loraFiles: 0, changedTensors: 0 },
        })),
      releaseBackups: (fromFile) => this.#job('releaseBackups', fromFile, id, null, () => 0),
      releaseCompiled: (params) =>
        this.#job('releaseCompiled', params, id, null, () => releaseGraphs(this.graphs.get(id), params)),
      measure: (params) =>
        this.#job('measure', params, id, null, () => ({ ...noMemory, ...this.#memory(params, this.loads.get(id)) })),
      dispose: () => {
        this.disposedModels.push(id);
        return Promise.resolve();
      },
    };
  }

  #upscalerFacts() {
    return { scale: 2, bytes: this.#options.upscaler?.bytes ?? 10, device: 'CPU' };
  }

  #upscaleGraph(size: NativeUpscaleSize) {
    return { graph: this.#options.upscaler?.graph?.(size) ?? 0, work: 0 };
  }

  #memory(params: NativeMeasureParams, load: NativeLoadOptions | undefined): Partial<NativeJobMemory> {
    return this.#options.memory?.(params, load?.files) ?? {};
  }

  #infoOf({ files }: NativeLoadOptions): NativeModelInfo {
    return { ...fakeInfo, ...this.#options.info, ...this.#options.infoOf?.(files) };
  }

  #conditioning({ prompt }: NativeEncodePromptParams): FakeConditioning {
    const conditioning: FakeConditioning = {
      prompt,
      bytes: this.#options.conditioningBytes ?? 1000,
      shape: [1, 77, 768],
      disposed: false,
      dispose() {
        conditioning.disposed = true;
      },
    };
    this.conditionings.push(conditioning);
    return conditioning;
  }

  #job<Op extends FakeOp, T>(
    op: Op,
    params: FakeParams[Op],
    model: number,
    onEvent: ((event: NativeEvent) => void) | null,
    result: () => T,
  ): NativeJob<T> {
    let finish = (): void => undefined;
    let stop = (): void => undefined;
    let refuse: (error: Error) => void = () => undefined;
    const promise = new Promise<T>((resolve, reject) => {
      finish = () => {
        if (call.settled) return;
        call.settled = true;
        resolve(result());
        call.done = true;
      };
      refuse = (error) => {
        call.settled = true;
        reject(error);
      };
      stop = () => {
        refuse(Object.assign(new Error('The job was cancelled'), { code: 'ERR_ABORTED' }));
      };
    });
    const call: FakeCall<Op> = {
      op,
      params,
      model,
      cancelled: false,
      settled: false,
      done: false,
      emit: (event) => {
        if (call.settled) return;
        if (event.type === 'compile') {
          const { graph, signature, bytes } = event;
          this.graphs.set(model, [{ graph, signature, bytes }, ...(this.graphs.get(model) ?? [])]);
        }
        onEvent?.(event);
      },
      release: () => {
        finish();
      },
      letGo: () => {
        stop();
      },
      fail: (code, message) => {
        refuse(Object.assign(new Error(message), { code }));
      },
    };
    this.calls.push(call as FakeCall);
    setImmediate(() => {
      if (call.settled || call.cancelled) return;
      for (const event of this.events(op, params, model)) call.emit(event);
      if (!this.hold.has(op)) finish();
    });
    return {
      promise,
      cancel: () => {
        if (call.cancelled || call.settled) return;
        call.cancelled = true;
        if (!this.slowCancel) setImmediate(stop);
      },
    };
  }
}

/** Waits until a condition holds; fails after two seconds. */
export async function until(condition: () => boolean, what = 'condition'): Promise<void> {
  const end = Date.now() + 2000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
