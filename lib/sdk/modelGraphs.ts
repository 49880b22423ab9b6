import type { TenantGraphs } from '../model/index.js';
import type { NativeJob } from '../native/index.js';
import { type GraphOwner, letGoOf, type Turn } from '../pipeline/index.js';

export interface ModelGraphsInit extends GraphOwner {
  readonly turn: Turn;
  readonly loaded: () => boolean;
}

/** Compiled graphs of one model, as others that need memory see them. */
export class ModelGraphs implements TenantGraphs {
  readonly #init: ModelGraphsInit;
  /** Signatures that the job which has the turn asks for, while it waits for memory. */
  #asked: ReadonlySet<number> | undefined;

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
    if (this.#init.turn.free) return this.bytes;
    return this.#asked === undefined ? 0 : Math.min(this.bytes, this.#init.memory.cache.graphs.beside(this.#asked));
  }

  /** For the job that has the turn and does nothing natively: all others can go, until the result is called. */
  offer(asked: ReadonlySet<number>): () => void {
    this.#asked = asked;
    return () => {
      if (this.#asked === asked) this.#asked = undefined;
    };
  }

  async letGo(): Promise<number> {
    const { turn, loaded, memory } = this.#init;
    if (!loaded()) return 0;
    const release = turn.tryTake();
    const asked = release === undefined ? this.#asked : new Set<number>();
    if (asked === undefined) return 0;
    try {
      return await letGoOf(this.#init, <T>(start: () => NativeJob<T>) => start().promise, asked);
    } catch {
      // Of a model that fails nothing is known to be there.
      memory.cache.graphs.set([]);
      return 0;
    } finally {
      if (!loaded()) memory.cache.graphs.set([]);
      release?.();
    }
  }
}
