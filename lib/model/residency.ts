/** A model or an upscaler that can leave memory. */
export interface Tenant {
  readonly name: string;
  readonly loaded: boolean;
  /** Bytes of its weights, loaded or not. */
  readonly bytes: number;
  /** Somebody needs it in memory: it stays. */
  readonly held: boolean;
  /** What its backend keeps compiled; undefined: nothing. */
  readonly graphs?: TenantGraphs | undefined;
  /** Frees what is kept beside the weights only to be faster. */
  trim(): Promise<void>;
  /** Frees the weights. */
  drop(): Promise<void>;
}

/**
 * Compiled graphs of a model, which can go while no job works with it, whoever holds the model, and those that a job
 * which works with it does without, while that waits for memory.
 */
export interface TenantGraphs {
  /** By which others know whose they are. */
  readonly owner: object;
  /** Of all. */
  readonly bytes: number;
  /** Of those that can go now. */
  readonly idle: number;
  /** Has `idle` tell what is there now, while nobody works with the model. */
  refresh(): Promise<void>;
  /** Lets go of the least recently used one that can. Gives the bytes that it freed; 0: there is nothing to free now. */
  letGo(): Promise<number>;
}

/** What somebody wants for whom room is made. */
export interface RoomWanted {
  readonly enough: () => boolean;
  /** False: so many bytes will not do either. Default: they do. */
  readonly wouldDo?: (bytes: number) => boolean;
  /** Is told of the bytes of compiled graphs. */
  readonly freed?: (bytes: number) => void;
}

/**
 * Models of a runtime that may leave memory for others: those of hires checkpoints and the upscalers of hires passes
 * between two jobs, and the first model of a job while the second works. What is least worth goes first: caches before
 * compiled graphs, those before weights, and of each those that were used least lately.
 */
export class Residency {
  /** In the order of their last use. */
  readonly #tenants = new Set<Tenant>();
  readonly #listeners = new Set<(tenant: Tenant, reason: string, ms: number) => void>();

  add(tenant: Tenant): void {
    this.#tenants.add(tenant);
  }

  delete(tenant: Tenant): void {
    this.#tenants.delete(tenant);
  }

  /** Used now: the last to go. */
  touch(tenant: Tenant): void {
    if (this.#tenants.delete(tenant)) this.#tenants.add(tenant);
  }

  /** Those that would go, the first to go first. */
  get spare(): readonly Tenant[] {
    return [...this.#tenants].filter(({ loaded, held }) => loaded && !held);
  }

  /** Bytes that dropping all of them gives. */
  get spareBytes(): number {
    return this.spare.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Of compiled graphs. */
  readonly graphs = {
    /** Bytes of those that can go now. @param except owners whose graphs are not counted. */
    idle: (except: ReadonlySet<object> = new Set()): number =>
      this.#graphs.reduce((sum, { owner, idle }) => sum + (except.has(owner) ? 0 : idle), 0),
    all: (): number => this.#graphs.reduce((sum, { bytes }) => sum + bytes, 0),
  };

  /** @returns what stops listening. */
  listen(listener: (tenant: Tenant, reason: string, ms: number) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Frees one thing after the other until there is enough: what is kept beside weights always, the rest only where that
   * will do.
   * @returns false: nothing is left to free.
   */
  async makeRoom({ enough, wouldDo = () => true, freed }: RoomWanted, reason: string): Promise<boolean> {
    for (const tenant of this.spare) {
      if (enough()) return true;
      await tenant.trim();
    }
    if (!enough()) for (const graphs of this.#graphs) await graphs.refresh();
    if (!enough() && !wouldDo(this.spareBytes + this.graphs.idle())) return false;
    for (const graphs of this.#graphs) {
      while (!enough()) {
        const bytes = await graphs.letGo();
        if (bytes === 0) break;
        freed?.(bytes);
      }
    }
    for (const tenant of this.spare) {
      if (enough()) return true;
      if (!tenant.loaded || tenant.held) continue;
      const started = performance.now();
      await tenant.drop();
      for (const listener of this.#listeners) listener(tenant, reason, performance.now() - started);
    }
    return enough();
  }

  get #graphs(): readonly TenantGraphs[] {
    return [...this.#tenants].flatMap(({ graphs }) => graphs ?? []);
  }
}
