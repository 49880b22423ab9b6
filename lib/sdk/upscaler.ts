import { type ImageInput, GeneratedImage, readImage } from '../image/index.js';
import type { NativeUpscaler } from '../native/index.js';
import { boolean, checkOptions } from '../options/index.js';
import {
  imageInput,
  jobSpec,
  JobQueue,
  type OperationOptions,
  ProgressTracker,
  type QueueView,
} from '../pipeline/index.js';
import { disposeAbort, disposedError, type DisposeOptions, freeNative } from './disposal.js';

export interface UpscaleOptions extends OperationOptions {
  readonly image: ImageInput;
}

/** A loaded ESRGAN model. Made by `runtime.loadUpscaler`. Its jobs queue as those of a model do. */
export class Upscaler {
  /** Times that width and height grow, usually 4. */
  readonly scale: number;
  readonly queue: QueueView;
  readonly #native: NativeUpscaler;
  readonly #queue: JobQueue;
  readonly #onDispose: (upscaler: Upscaler) => void;
  #disposed: Promise<void> | undefined;

  /** Not for callers; use `runtime.loadUpscaler`. */
  constructor(native: NativeUpscaler, name: string, onDispose: (upscaler: Upscaler) => void) {
    this.scale = native.scale;
    this.#queue = new JobQueue(name);
    this.queue = this.#queue;
    this.#native = native;
    this.#onDispose = onDispose;
  }

  /** Enlarges a picture `scale` times. A picture with a seed and parameters keeps them. */
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
      const tracker = new ProgressTracker([{ phase: 'upscale', image: 1, total: 1, weight: 1 }], 1, options);
      const pixels = await tracker.stage((onEvent) => scope.run(() => this.#native.upscale(source, onEvent)));
      const made = image instanceof GeneratedImage ? image : { seed: -1, parameters: {}, infotext: '' };
      const { seed, parameters, infotext } = made;
      return new GeneratedImage({ pixels, seed, parameters, infotext });
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
      this.#onDispose(this);
    });
    await this.#disposed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
