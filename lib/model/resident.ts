import type {
  JobMethods,
  NativeEvent,
  NativeJob,
  NativeJobMemory,
  NativeMeasureParams,
  NativeModel,
  NativeModelInfo,
} from '../native/index.js';

/** Loaded weights. */
export interface LoadedNative {
  readonly native: NativeModel;
  /** Gives their memory back to the ledger; after `native` was disposed of. */
  readonly forget: () => void;
}

export type OpenNative = (onEvent: (event: NativeEvent) => void, signal: AbortSignal) => Promise<LoadedNative>;

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
};

type Operation = (params: unknown, onEvent?: ((event: NativeEvent) => void) | null) => NativeJob<unknown>;

/** Ids of jobs that wait for a load: beyond those of the addon and of an isolated engine. */
let lastId = 2 ** 48;

/**
 * A native model whose weights can leave memory and come back: `native` is the same object all the time, and loads them
 * again at its next use; measuring does without them. Owner: the model or the residency that made it. JavaScript thread only.
 */
export class ResidentModel {
  /** Never changes; its operations load the weights first where they are not there. */
  readonly native: NativeModel;
  readonly #open: OpenNative;
  readonly #measure: MeasureUnloaded;
  readonly #onDrop: () => void;
  #inner: LoadedNative | undefined;
  #loading: Promise<LoadedNative> | undefined;
  #disposed = false;

  constructor({ info, open, measure, loaded, onDrop }: ResidentInit) {
    this.#open = open;
    this.#measure = measure;
    this.#inner = loaded;
    this.#onDrop = onDrop;
    const facade: Record<string, unknown> = { info, dispose: () => this.dispose() };
    for (const name of Object.keys(operations) as JobMethods<NativeModel>[]) {
      facade[name] = (params: unknown, onEvent?: (event: NativeEvent) => void) => this.#run(name, params, onEvent);
    }
    this.native = facade as unknown as NativeModel;
  }

  get loaded(): boolean {
    return this.#inner !== undefined;
  }

  /** Facts of the weights in memory; undefined without. */
  get info(): NativeModelInfo | undefined {
    return this.#inner?.native.info;
  }

  /** Reads the weights. Loads that come while one is under way wait for that one, whoever's signal it has. */
  async load(onEvent: (event: NativeEvent) => void, signal: AbortSignal): Promise<LoadedNative> {
    if (this.#inner !== undefined) return this.#inner;
    this.#loading ??= this.#open(onEvent, signal)
      .then((inner) => (this.#inner = inner))
      .finally(() => (this.#loading = undefined));
    const inner = await this.#loading;
    if (this.#disposed) await this.drop();
    return inner;
  }

  /** Frees the weights after what runs; the next operation loads them again. */
  async drop(): Promise<void> {
    const inner = this.#inner;
    if (inner === undefined) return;
    this.#inner = undefined;
    this.#onDrop();
    try {
      await inner.native.dispose();
    } finally {
      inner.forget();
    }
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#loading?.catch(() => undefined);
    await this.drop();
  }

  #run(
    name: JobMethods<NativeModel>,
    params: unknown,
    onEvent: ((event: NativeEvent) => void) | null = null,
  ): NativeJob<unknown> {
    const call = ({ native }: LoadedNative): NativeJob<unknown> =>
      (native[name] as unknown as Operation).call(native, params, onEvent);
    if (this.#inner !== undefined || this.#disposed) return call(this.#inner ?? gone());
    if (name === 'measure') return this.#measure(params as NativeMeasureParams);
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
}

function gone(): never {
  throw Object.assign(new Error('The model is disposed.'), { code: 'ERR_DISPOSED' });
}
