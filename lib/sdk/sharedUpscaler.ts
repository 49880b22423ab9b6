import { DiffusionError } from '../errors/index.js';
import { ComingWeights, fileStamp, type Residency } from '../model/index.js';
import type { NativeEvent, NativeUpscalerMemory } from '../native/index.js';
import type { ModelEvent, OpenUpscaler, UpscalerModel } from '../pipeline/index.js';
import { ModelTenant } from './tenant.js';
import { loadShortage, upscalerLoadNeed } from './upscalerMemory.js';
import {
  type LoadedUpscaler,
  loadUpscalerWeights,
  measureUpscaler,
  type UpscalerContext,
  UpscaleMeasures,
  upscalerName,
  type UpscalerRequest,
} from './upscalerWeights.js';

export interface SharedUpscalersInit extends UpscalerContext {
  readonly residency: Residency;
  readonly log: ((event: ModelEvent) => void) | undefined;
  readonly request: (file: string) => UpscalerRequest;
}

interface Opened {
  readonly model: UpscalerModel;
  readonly tenant: ModelTenant;
  readonly weights: SharedWeights;
}

/**
 * Upscaler models of hires passes: each is read when a pass wants it. The last one that was used stays in memory until
 * others need the room. Owner: the runtime.
 */
export class SharedUpscalers {
  readonly #init: SharedUpscalersInit;
  readonly #opened = new Map<string, Promise<Opened>>();

  constructor(init: SharedUpscalersInit) {
    this.#init = init;
  }

  readonly open: OpenUpscaler = async ({ file }, signal) => {
    const stop = signal ?? new AbortController().signal;
    // A file that has changed is another upscaler.
    const key = JSON.stringify([file, await fileStamp(file).catch(() => '')]);
    let opened = this.#opened.get(key);
    if (opened === undefined) {
      const measured = await measureUpscaler(this.#init, this.#init.request(file), 'hires.upscaler', stop);
      // Somebody else may have opened it meanwhile.
      opened = this.#opened.get(key) ?? Promise.resolve(this.#make(file, measured));
      this.#opened.set(key, opened);
    }
    return (await opened).model;
  };

  /** Frees the weights that no job needs now, but for those of `kept`. */
  async release(kept?: ModelTenant): Promise<void> {
    for (const { tenant } of await Promise.all(this.#opened.values()))
      if (tenant !== kept && tenant.loaded && !tenant.held) await tenant.drop();
  }

  /** Frees all. */
  async dispose(): Promise<void> {
    const all = await Promise.all(this.#opened.values());
    this.#opened.clear();
    for (const { tenant, weights } of all) {
      tenant.remove();
      await weights.dispose();
    }
  }

  #make(file: string, measured: NativeUpscalerMemory): Opened {
    const { addon, ledger, residency, log } = this.#init;
    const request = this.#init.request(file);
    const measures = new UpscaleMeasures();
    const weights = new SharedWeights(async (onEvent, signal) => {
      await this.release(tenant);
      return loadUpscalerWeights(this.#init, request, measured, onEvent, signal);
    });
    const tenant = new ModelTenant({
      name: upscalerName(file),
      resident: weights,
      bytes: () => measured.bytes,
      residency,
      trim: () => Promise.resolve(),
      log,
      holders: 0,
      admits: (relief) => {
        const need = upscalerLoadNeed(measured, request);
        const shortage = ledger.shortage(need, relief);
        return shortage === undefined ? Promise.resolve() : Promise.reject(loadShortage(ledger, need, shortage));
      },
    });
    const load = { ...request, memoryBudget: 0 };
    const model: UpscalerModel = {
      scale: measured.scale,
      device: measured.device,
      presence: tenant,
      measure: (size, scope) =>
        measures.of(size, async (piece) => {
          const { jobs } = await scope.run(() => addon.measureUpscaler({ load, sizes: [piece] }));
          return jobs[0] ?? { graph: 0, work: 0 };
        }),
      enlarge: async (input, scope, onEvent) => {
        const { native } = await weights.load(onEvent, scope.signal);
        scope.check();
        return scope.run(() => native.upscale(input, onEvent));
      },
    };
    return { model, tenant, weights };
  }
}

/** Each user's load is aborted and fails for that user alone. */
class SharedWeights extends ComingWeights<LoadedUpscaler> {
  override async load(onEvent: (event: NativeEvent) => void, signal: AbortSignal): Promise<LoadedUpscaler> {
    if (this.disposed) throw new DiffusionError('ERR_DISPOSED', 'The runtime was disposed.');
    if (this.loaded || this.loading === undefined) return super.load(onEvent, signal);
    // Its failure is that of somebody else, who may have aborted it.
    await this.loading.catch(() => undefined);
    signal.throwIfAborted();
    return this.load(onEvent, signal);
  }
}
