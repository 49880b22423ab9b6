import { DiffusionError, invalidOption } from '../errors/index.js';
import type { NativeConditioning, NativeTensor } from '../native/index.js';
import type { Lease } from './conditioningCache.js';
import type { PromptWarning } from './events.js';

/** Encoded prompts, held in native memory until `dispose()` or garbage collection. Belongs to the model that made it. */
export class Conditioning {
  /** Shape of the cross-attention context, e.g. [1, 77, 768]. */
  readonly shape: readonly number[];
  /** Bytes of both parts. */
  readonly bytes: number;
  /** False: without a negative part, which serves only cfgScale 1. */
  readonly hasNegative: boolean;
  /** Parts of the prompts that a text encoder did not read; usually empty. */
  readonly warnings: readonly PromptWarning[];
  readonly #owner: object;
  readonly #positive: Lease;
  readonly #negative: Lease | undefined;
  #users = 0;
  #disposed = false;

  /**
   * @param owner the model's context.
   * @internal
   */
  constructor(owner: object, positive: Lease, negative: Lease | undefined, warnings: readonly PromptWarning[] = []) {
    this.warnings = warnings;
    this.#owner = owner;
    this.#positive = positive;
    this.#negative = negative;
    this.shape = [...positive.handle.shape];
    this.bytes = positive.handle.bytes + (negative?.handle.bytes ?? 0);
    this.hasNegative = negative !== undefined;
  }

  /**
   * A copy of the positive cross-attention context; undefined where the engine is another process. For tests.
   * @internal
   */
  context(): NativeTensor | undefined {
    return this.#positive.handle.context?.();
  }

  /** Lets go of the memory; a job that uses it keeps it until it ends. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * The native handles for a job of the model; `done` when the native side has let go. For the pipeline.
   * @internal
   */
  use(owner: object): { positive: NativeConditioning; negative: NativeConditioning | null; done: () => void } {
    if (this.#disposed)
      throw new DiffusionError('ERR_DISPOSED', 'The conditioning was disposed. Call encodePrompt again.', {
        field: 'conditioning',
      });
    if (owner !== this.#owner) {
      throw invalidOption(
        'conditioning',
        this,
        'a conditioning of the same model',
        'Call encodePrompt of the model that samples.',
      );
    }
    this.#users++;
    let used = true;
    const done = (): void => {
      if (!used) return;
      used = false;
      this.#users--;
      this.#release();
    };
    return { positive: this.#positive.handle, negative: this.#negative?.handle ?? null, done };
  }

  #release(): void {
    if (!this.#disposed || this.#users > 0) return;
    this.#positive.release();
    this.#negative?.release();
  }
}
