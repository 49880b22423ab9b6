import type { TenantGraphs } from '../model/index.js';
import type { NativeJob } from '../native/index.js';
import { type GraphOwner, letGoOf, refreshGraphsOf, type Turn } from '../pipeline/index.js';

export interface ModelGraphsInit extends GraphOwner {
  readonly turn: Turn;
  readonly loaded: () => boolean;
}

const run = <T>(start: () => NativeJob<T>): Promise<T> => start().promise;
const none: ReadonlySet<number> = new Set();

/** Compiled graphs of one model, as others that need memory see them. */
export class ModelGraphs implements TenantGraphs {
  readonly #init: ModelGraphsInit;
  /** Signatures that the job which has the turn asks for, while it waits for memory. */
  #asked: ReadonlySet<number> | undefined;
  /** Somebody asks the model, or has something let go. */
  #busy: Promise<unknown> | undefined;

  constructor(init: ModelGraphsInit) {
    this.#init = init;
  }

  get owner(): object {
    return this.#init.memory.cache.graphs;
  }

  get bytes(): number {
    return this.#init.loaded() ? this.#init.memory.cache.graphs.bytes : 0;
  }

  get idle(): number {
    if (this.#init.turn.free || (this.#busy !== undefined && this.#asked === undefined)) return this.bytes;
    return this.#asked === undefined ? 0 : Math.min(this.bytes, this.#init.memory.cache.graphs.beside(this.#asked));
  }

  /** For the job that has the turn and does nothing natively: all others can go, until the result is called. */
  offer(asked: ReadonlySet<number>): () => void {
    this.#asked = asked;
    return () => {
      if (this.#asked === asked) this.#asked = undefined;
    };
  }

  async refresh(): Promise<void> {
    await this.#alone(async () => {
      await refreshGraphsOf(this.#init, run);
      return 0;
    });
  }

  letGo(): Promise<number> {
    // What a job offers can go as long as it does.
    return this.#alone((asked) => letGoOf(this.#init, run, () => (asked === none ? none : this.#asked)));
  }

  /** With the model's turn, or while its job offers graphs; one after the other. */
  async #alone(work: (asked: ReadonlySet<number>) => Promise<number>): Promise<number> {
    while (this.#busy !== undefined) await this.#busy;
    const { turn, loaded, memory } = this.#init;
    const release = loaded() ? turn.tryTake() : undefined;
    const asked = release === undefined ? this.#asked : none;
    if (!loaded() || asked === undefined) return 0;
    const { graphs } = memory.cache;
    const done = work(asked)
      // Of a model that fails nothing is known to be there.
      .catch(() => {
        graphs.set([]);
        return 0;
      })
      .finally(() => {
        if (!loaded()) graphs.set([]);
        this.#busy = undefined;
        release?.();
      });
    this.#busy = done;
    return done;
  }
}
