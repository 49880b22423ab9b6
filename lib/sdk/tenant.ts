import type { Residency, Tenant } from '../model/index.js';
import type { JobScope, NativeEvent } from '../native/index.js';
import type { ModelEvent, Presence } from '../pipeline/index.js';
import { notify } from '../pipeline/index.js';
import type { ModelGraphs } from './modelGraphs.js';

/** Weights that can leave memory and come back. */
export interface Resident {
  readonly loaded: boolean;
  readonly load: (onEvent: (event: NativeEvent) => void, signal: AbortSignal) => Promise<unknown>;
  readonly drop: () => Promise<void>;
}

export interface TenantInit {
  readonly name: string;
  readonly resident: Resident;
  readonly bytes: () => number;
  readonly residency: Residency;
  /** Frees what is kept beside the weights. */
  readonly trim: () => Promise<void>;
  /** What its backend keeps compiled; undefined: nothing. */
  readonly graphs?: ModelGraphs | undefined;
  readonly log: ((event: ModelEvent) => void) | undefined;
  /** People who hold the model: 1 for one that was loaded by a call, 0 for one of a hires checkpoint. */
  readonly holders: number;
  /** Throws where reading the weights would not fit even with so many bytes freed. */
  readonly admits?: ((relief: number, signal: AbortSignal) => Promise<void>) | undefined;
}

/** What becomes of weights that nobody wants any more. */
export interface Abandoned {
  /** A job of another model holds them now. */
  readonly inUse: boolean;
  /** They have left memory. */
  readonly gone: Promise<void>;
}

/** The place of a model or an upscaler in memory, as jobs and the residency see it. */
export class ModelTenant implements Tenant, Presence {
  readonly #init: TenantInit;
  #holders: number;
  #owned: boolean;
  #end: (() => void) | undefined;

  constructor(init: TenantInit) {
    this.#init = init;
    this.#holders = init.holders;
    this.#owned = init.holders > 0;
    init.residency.add(this);
  }

  get name(): string {
    return this.#init.name;
  }

  get loaded(): boolean {
    return this.#init.resident.loaded;
  }

  get bytes(): number {
    return this.#init.bytes();
  }

  get owned(): boolean {
    return this.#owned;
  }

  get held(): boolean {
    return this.#holders > 0;
  }

  get graphs(): ModelGraphs | undefined {
    return this.#init.graphs;
  }

  offer(asked: ReadonlySet<number>): () => void {
    return this.#init.graphs?.offer(asked) ?? (() => undefined);
  }

  get rivals(): readonly ModelTenant[] {
    const { spare } = this.#init.residency;
    return spare.filter((tenant): tenant is ModelTenant => tenant instanceof ModelTenant && tenant !== this);
  }

  hold(): () => void {
    this.#init.residency.touch(this);
    return this.#count(1);
  }

  spare(): () => void {
    return this.#count(-1);
  }

  trim(): Promise<void> {
    return this.#init.trim();
  }

  drop(): Promise<void> {
    return this.#init.resident.drop();
  }

  async admits(relief: number, signal: AbortSignal): Promise<void> {
    if (!this.loaded) await this.#init.admits?.(relief, signal);
  }

  watch(onModel: ((event: ModelEvent) => void) | undefined): () => void {
    return this.#init.residency.listen((tenant, reason, ms) => {
      this.#tell({ type: 'model', action: 'unload', model: tenant.name, reason, ms }, onModel);
    });
  }

  async load(
    scope: JobScope,
    onEvent: (event: NativeEvent) => void,
    reason: string,
    onModel: ((event: ModelEvent) => void) | undefined,
  ): Promise<void> {
    const { resident, name } = this.#init;
    const started = performance.now();
    const unwatch = this.watch(onModel);
    try {
      await resident.load(onEvent, scope.signal);
    } finally {
      unwatch();
    }
    scope.check();
    this.#tell({ type: 'model', action: 'load', model: name, reason, ms: performance.now() - started }, onModel);
  }

  /** It leaves the runtime. */
  remove(): void {
    this.#init.residency.delete(this);
  }

  /** Somebody has loaded it by a call: it stays in memory until {@link abandon}. */
  own(): void {
    this.#owned = true;
    this.#count(1);
  }

  /** A load by a call has failed. */
  disown(): void {
    this.#owned = false;
    this.#count(-1);
  }

  /**
   * Nobody wants it any more but jobs of other models that work with it or will: its weights leave when none of them
   * holds them.
   */
  abandon(): Abandoned {
    this.remove();
    this.#owned = false;
    this.#holders--;
    if (!this.held) {
      this.#end = () => void this.drop().catch(() => undefined);
      return { inUse: false, gone: this.drop() };
    }
    const gone = new Promise<void>((resolve, reject) => {
      this.#end = () => void this.drop().then(resolve, reject);
    });
    return { inUse: true, gone };
  }

  #tell(event: ModelEvent, onModel: ((event: ModelEvent) => void) | undefined): void {
    this.#init.log?.(event);
    notify(onModel, event);
  }

  #count(by: number): () => void {
    this.#holders += by;
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.#holders -= by;
      if (!this.held) this.#end?.();
    };
  }
}
