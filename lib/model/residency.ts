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

/** Compiled graphs of a model, which can go while no job works with it, whoever holds the model. */
export interface TenantGraphs {
  /** By which others know whose they are. */
  readonly owner: object;
  /** Those that can go now; 0 while a job works with the model. */
  readonly bytes: number;
  /** Lets go of the least recently used one. Gives the bytes that it freed; 0: there is nothing to free now. */
  letGo(): Promise<number>;
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

  /** Bytes of compiled graphs that can go now. @param except owners whose graphs are not counted. */
  graphBytes(except: ReadonlySet<object> = new Set()): number {
    const all = [...this.#tenants].flatMap(({ graphs }) => graphs ?? []);
    return all.reduce((sum, { owner, bytes }) => sum + (except.has(owner) ? 0 : bytes), 0);
  }

  /** @returns what stops listening. */
  listen(listener: (tenant: Tenant, reason: string, ms: number) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Frees one thing after the other until `enough`.
   * @param freed is told of the bytes of compiled graphs.
   * @returns false: nothing is left to free.
   */
  async makeRoom(enough: () => boolean, reason: string, freed?: (bytes: number) => void): Promise<boolean> {
    for (const tenant of this.spare) {
      if (enough()) return true;
      await tenant.trim();
    }
    for (const { graphs } of [...this.#tenants]) {
      while (graphs !== undefined && graphs.bytes > 0 && !enough()) {
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
}
