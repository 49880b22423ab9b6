import { type ImageInput, GeneratedImage, readImage } from '../image/index.js';
import { host, type MemoryLedger } from '../memory/index.js';
import { JobScope, type NativeSize, type NativeUpscaler, type NativeUpscaleSize } from '../native/index.js';
import { boolean, checkOptions, optional, signal as abortSignal } from '../options/index.js';
import {
  imageInput,
  jobSpec,
  JobQueue,
  type OperationOptions,
  ProgressTracker,
  type QueueView,
} from '../pipeline/index.js';
import { disposeAbort, disposedError, type DisposeOptions, freeNative } from './disposal.js';
import { type UpscaleJob, type UpscaleNeed, upscaleNeed, upscaleShortage } from './upscalerMemory.js';
import { type LoadedUpscaler, measureLoaded, UpscaleMeasures } from './upscalerWeights.js';

export interface UpscaleOptions extends OperationOptions {
  readonly image: ImageInput;
}

export interface UpscaleEstimateOptions extends Pick<OperationOptions, 'signal'> {
  readonly image: ImageInput;
}

/** Memory of an enlargement, bytes. */
export interface UpscaleEstimate {
  /** Of the upscaler. */
  readonly weights: number;
  /** Buffers of the graph of the whole picture or of one tile, and the CPU's work buffer. */
  readonly graphs: number;
  /** The picture given, the one made, and both as floats. */
  readonly pixels: number;
  /** Most that the job takes at one time beside the weights. */
  readonly job: number;
  /** `weights` + `job`. */
  readonly peak: number;
  /** What the job can have now. */
  readonly available: number;
  /** `memoryLimit` of the runtime; null: none. */
  readonly limit: number | null;
  /** False: the job would be refused with `ERR_OUT_OF_MEMORY`. */
  readonly fits: boolean;
}

/** What a runtime hands to an upscaler it has loaded. */
export interface UpscalerInit {
  readonly weights: LoadedUpscaler;
  readonly tileSize: number;
  readonly offloadToCpu: boolean;
  readonly name: string;
  readonly ledger: MemoryLedger;
  readonly onDispose: (upscaler: Upscaler) => void;
}

/** A loaded ESRGAN model. Made by `runtime.loadUpscaler`. Its jobs queue as those of a model do. */
export class Upscaler {
  /** Times that width and height grow, usually 4. */
  readonly scale: number;
  /** Bytes of the weights. */
  readonly bytes: number;
  readonly queue: QueueView;
  readonly #native: NativeUpscaler;
  readonly #init: UpscalerInit;
  readonly #queue: JobQueue;
  readonly #measures = new UpscaleMeasures();
  #disposed: Promise<void> | undefined;

  /**
   * Not for callers; use `runtime.loadUpscaler`.
   * @internal
   */
  constructor(init: UpscalerInit) {
    const { native } = init.weights;
    this.scale = native.scale;
    this.bytes = native.bytes;
    this.#queue = new JobQueue(init.name);
    this.queue = this.#queue;
    this.#native = native;
    this.#init = init;
  }

  /**
   * Enlarges a picture `scale` times. A picture with a seed and parameters keeps them.
   * @throws DiffusionError `ERR_OUT_OF_MEMORY` before anything is allocated, `ERR_IMAGE_INVALID`, `ERR_INVALID_OPTION`,
   *   `ERR_DISPOSED`; or the signal's reason.
   */
  async upscale(given: UpscaleOptions): Promise<GeneratedImage> {
    this.#queue.assertOpen();
    const options = checkOptions('upscale', given, { image: imageInput(), ...jobSpec });
    const { image, signal, onQueue } = options;
    signal?.throwIfAborted();
    const ready = readImage(image, { field: 'image', ...(signal === undefined ? {} : { signal }) });
    ready.catch(() => undefined);
    return this.#queue.enqueue('upscale', { signal, onQueue, ready }, async (scope) => {
      const source = await ready;
      scope.check();
      const { memoryBudget, release } = await this.#admit(source, scope);
      try {
        scope.check();
        const tracker = new ProgressTracker([{ phase: 'upscale', image: 1, total: 1, weight: 1 }], 1, options);
        const params = { image: source, tileSize: this.#init.tileSize, memoryBudget };
        const pixels = await tracker.stage((onEvent) => scope.run(() => this.#native.upscale(params, onEvent)));
        const made = image instanceof GeneratedImage ? image : { seed: -1, parameters: {}, infotext: '' };
        const { seed, parameters, infotext } = made;
        return new GeneratedImage({ pixels, seed, parameters, infotext });
      } finally {
        void scope.idle().then(release);
      }
    });
  }

  /**
   * The memory that enlarging a picture would take, from the size of the engine's own graph; nothing is computed. Runs
   * beside the queue, after the native operation that runs now.
   * @throws DiffusionError as {@link upscale}, but for `ERR_OUT_OF_MEMORY`; or the signal's reason.
   */
  async estimate(given: UpscaleEstimateOptions): Promise<UpscaleEstimate> {
    this.#queue.assertOpen();
    const { image, signal } = checkOptions('estimate', given, { image: imageInput(), signal: optional(abortSignal()) });
    signal?.throwIfAborted();
    const source = await readImage(image, { field: 'image', ...(signal === undefined ? {} : { signal }) });
    const scope = new JobScope(signal ?? new AbortController().signal);
    const { ledger } = this.#init;
    const { graphs, pixels, byDevice } = await this.#measure(this.#sizeOf(source), scope);
    const job = [...byDevice.values()].reduce((sum, bytes) => sum + bytes, 0);
    return Object.freeze({
      weights: this.bytes,
      ...{ graphs, pixels, job, peak: this.bytes + job },
      available: ledger.available(host),
      limit: ledger.limit ?? null,
      fits: ledger.shortage(byDevice, ledger.spare) === undefined,
    });
  }

  /** As {@link Model.dispose}. */
  async dispose(options: DisposeOptions = {}): Promise<void> {
    const { abort } = checkOptions('dispose', options, { abort: boolean({ default: false }) });
    const closed = this.#queue.close(
      () => disposedError('upscaler', 'Load it again with runtime.loadUpscaler.'),
      abort ? disposeAbort('upscaler') : undefined,
    );
    this.#disposed ??= freeNative(closed, this.#native, () => {
      this.#init.weights.forget();
      this.#init.onDispose(this);
    });
    await this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Takes the memory of a job. */
  async #admit(
    picture: NativeSize,
    scope: JobScope,
  ): Promise<{ readonly memoryBudget: number; readonly release: () => void }> {
    const { ledger } = this.#init;
    const size = this.#sizeOf(picture);
    const need = await this.#measure(size, scope);
    const place = await ledger.reserve(need.byDevice, scope.signal);
    if ('release' in place)
      return { memoryBudget: ledger.limit === undefined ? 0 : Math.max(1, need.graphs), release: place.release };
    const job: UpscaleJob = { size, scale: this.scale, measure: (other) => this.#measure(other, scope) };
    throw await upscaleShortage(ledger, job, need, place, scope);
  }

  #sizeOf({ width, height }: NativeSize): NativeUpscaleSize {
    return { width, height, tileSize: this.#init.tileSize };
  }

  async #measure(size: NativeUpscaleSize, scope: JobScope): Promise<UpscaleNeed> {
    const measured = await measureLoaded(this.#measures, this.#native, size, scope);
    const { device, bytes } = this.#native;
    return upscaleNeed(size, this.scale, measured, device, this.#init.offloadToCpu ? bytes : 0);
  }
}
