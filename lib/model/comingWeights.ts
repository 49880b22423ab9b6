import type { NativeEvent } from '../native/index.js';

/** Loaded weights of a model or an upscaler. */
export interface LoadedWeights<N extends { dispose(): Promise<void> }> {
  readonly native: N;
  /** Gives their memory back to the ledger; after `native` was disposed of. */
  readonly forget: () => void;
}

export type OpenWeights<L> = (onEvent: (event: NativeEvent) => void, signal: AbortSignal) => Promise<L>;

/** Weights that can leave memory and come back. JavaScript thread only. */
export class ComingWeights<L extends LoadedWeights<{ dispose(): Promise<void> }>> {
  readonly #open: OpenWeights<L>;
  #inner: L | undefined;
  #loading: Promise<L> | undefined;
  #disposed = false;

  /** @param loaded the weights, where they are loaded already. */
  constructor(open: OpenWeights<L>, loaded?: L) {
    this.#open = open;
    this.#inner = loaded;
  }

  /** Those in memory; undefined without. */
  get inner(): L | undefined {
    return this.#inner;
  }

  get loaded(): boolean {
    return this.#inner !== undefined;
  }

  /** A load that is under way. */
  get loading(): Promise<L> | undefined {
    return this.#loading;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Reads the weights. Loads that come while one is under way wait for that one, whoever's signal it has. */
  async load(onEvent: (event: NativeEvent) => void, signal: AbortSignal): Promise<L> {
    if (this.#inner !== undefined) return this.#inner;
    this.#loading ??= this.#open(onEvent, signal)
      .then((inner) => (this.#inner = inner))
      .finally(() => (this.#loading = undefined));
    const inner = await this.#loading;
    if (this.#disposed) await this.drop();
    return inner;
  }

  /** Frees the weights after what runs; they are read again when they are wanted. */
  async drop(): Promise<void> {
    const inner = this.#inner;
    if (inner === undefined) return;
    this.#inner = undefined;
    this.onDrop();
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

  /** Called when the weights have left. */
  protected onDrop(): void {
    // Nobody needs to know.
  }
}
