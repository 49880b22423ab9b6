import type {
  JobMethods,
  NativeEvent,
  NativeJob,
  NativeJobMemory,
  NativeMeasureParams,
  NativeModel,
  NativeModelInfo,
} from '../native/index.js';
import { ComingWeights, type LoadedWeights, type OpenWeights } from './comingWeights.js';

/** Loaded weights. */
export type LoadedNative = LoadedWeights<NativeModel>;

export type OpenNative = OpenWeights<LoadedNative>;

/** Measures a job of the model from the headers of its files. */
export type MeasureUnloaded = (params: NativeMeasureParams) => NativeJob<NativeJobMemory>;

export interface ResidentInit {
  readonly info: NativeModelInfo;
  readonly open: OpenNative;
  readonly measure: MeasureUnloaded;
  /** The weights, where they are loaded already. */
  readonly loaded: LoadedNative | undefined;
  /** Called when the weights have left: what was merged into them is gone too. */
  readonly onDrop: () => void;
}

/** Every operation of the contract that starts a job; the compiler asks for a new one. */
const operations: Readonly<Record<JobMethods<NativeModel>, true>> = {
  encodePrompt: true,
  countTokens: true,
  sigmas: true,
  noise: true,
  sample: true,
  encodeImages: true,
  decodeLatent: true,
  measure: true,
  tensors: true,
  convertNames: true,
  applyWeights: true,
  applyRuntime: true,
  weightsDigest: true,
  readTensor: true,
  weightsMemory: true,
  releaseBackups: true,
  releaseCompiled: true,
};

type Operation = (params: unknown, onEvent?: ((event: NativeEvent) => void) | null) => NativeJob<unknown>;

/** Ids of jobs that wait for a load: beyond those of the addon and of an isolated engine. */
let lastId = 2 ** 48;

/**
 * A native model whose weights can leave memory and come back: `native` is the same object all the time, and loads them
 * again at its next use; measuring does without them. Owner: the model or the residency that made it. JavaScript thread only.
 */
export class ResidentModel extends ComingWeights<LoadedNative> {
  /** Never changes; its operations load the weights first where they are not there. */
  readonly native: NativeModel;
  readonly #measure: MeasureUnloaded;
  readonly #onDrop: () => void;

  constructor({ info, open, measure, loaded, onDrop }: ResidentInit) {
    super(open, loaded);
    this.#measure = measure;
    this.#onDrop = onDrop;
    const facade: Record<string, unknown> = { info, dispose: () => this.dispose() };
    for (const name of Object.keys(operations) as JobMethods<NativeModel>[]) {
      facade[name] = (params: unknown, onEvent?: (event: NativeEvent) => void) => this.#run(name, params, onEvent);
    }
    this.native = facade as unknown as NativeModel;
  }

  /** Facts of the weights in memory; undefined without. */
  get info(): NativeModelInfo | undefined {
    return this.inner?.native.info;
  }

  protected override onDrop(): void {
    this.#onDrop();
  }

  #run(
    name: JobMethods<NativeModel>,
    params: unknown,
    onEvent: ((event: NativeEvent) => void) | null = null,
  ): NativeJob<unknown> {
    const call = ({ native }: LoadedNative): NativeJob<unknown> =>
      this.#watched(native, (native[name] as unknown as Operation).call(native, params, onEvent));
    if (this.loaded || this.disposed) return call(this.inner ?? gone());
    if (name === 'measure') return this.#measure(params as NativeMeasureParams);
    // What was compiled has left with the weights, which are not read for it.
    if (name === 'releaseCompiled') return { promise: Promise.resolve([]), cancel: () => undefined };
    const controller = new AbortController();
    let running: NativeJob<unknown> | undefined;
    const promise = this.load(() => undefined, controller.signal).then((inner) => {
      controller.signal.throwIfAborted();
      running = call(inner);
      return running.promise;
    });
    return {
      id: ++lastId,
      promise,
      cancel: () => {
        if (running !== undefined) running.cancel();
        else controller.abort(Object.assign(new Error('The job was cancelled.'), { code: 'ERR_ABORTED' }));
      },
    };
  }

  /** Weights on a device that was lost are gone: the next job reads them again. */
  #watched(native: NativeModel, job: NativeJob<unknown>): NativeJob<unknown> {
    job.promise.catch((error: unknown) => {
      const lost = error instanceof Error && 'code' in error && error.code === 'ERR_DEVICE_LOST';
      // What it still holds is freed on its own time, after the jobs that wait for it.
      if (lost && this.inner?.native === native) this.drop().catch(() => undefined);
    });
    return job;
  }
}

function gone(): never {
  throw Object.assign(new Error('The model is disposed.'), { code: 'ERR_DISPOSED' });
}
