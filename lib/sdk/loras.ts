import { checkOptions } from '../options/index.js';
import { jobSpec, notify, type OperationOptions, type PipelineModel, ProgressTracker } from '../pipeline/index.js';
import { type LoraInput, type LoraReport, lorasSpec } from '../weights/index.js';

const setSpec = { signal: jobSpec.signal, onProgress: jobSpec.onProgress, onQueue: jobSpec.onQueue } as const;

/** A LoRA that the model has, with everything filled in. */
export interface CurrentLora {
  readonly name: string;
  readonly path: string;
  readonly unetWeight: number;
  readonly textEncoderWeight: number;
}

/** The LoRAs of a model: `model.loras`. */
export class Loras {
  readonly #model: PipelineModel;

  /**
   * Not for callers; use `model.loras`.
   * @internal
   */
  constructor(model: PipelineModel) {
    this.#model = model;
  }

  /** The set of the model, as the last `set` left it. Requests may bring their own. */
  get current(): readonly CurrentLora[] {
    return this.#model.weights.base.map(({ name, path, unetWeight, textEncoderWeight }) => ({
      ...{ name, path, unetWeight, textEncoderWeight },
    }));
  }

  /** What the last change of the weights did, by `set` or by a request. */
  get report(): LoraReport {
    return this.#model.weights.report;
  }

  /**
   * Makes these the LoRAs of the model, between jobs and in the order of the calls. Only tensors whose state differs are
   * touched, each made from its original with all deltas and rounded once; the order of the list has no effect. `[]`
   * restores the weights to the bytes that were loaded. When it fails or is aborted, the set before stays exactly.
   * @throws DiffusionError `ERR_LORA_INCOMPATIBLE`, `ERR_MODEL_CHANGED`, `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT`,
   *   `ERR_INVALID_OPTION`, `ERR_OUT_OF_MEMORY`, `ERR_DISPOSED`; or the signal's reason.
   */
  async set(list: readonly LoraInput[], options: OperationOptions = {}): Promise<LoraReport> {
    const { queue, weights } = this.#model;
    queue.assertOpen();
    const checked = lorasSpec.check(list, 'loras');
    const given = checkOptions('loras.set', options, setSpec);
    const { signal, onQueue } = given;
    signal?.throwIfAborted();
    const ready = weights.prepare(checked, [], signal);
    ready.catch(() => undefined);
    const report = await queue.enqueue('loras', { signal, onQueue, ready }, async (scope) => {
      const set = await ready;
      scope.check();
      if (weights.isCurrent(set)) return weights.setBase(set, scope, null);
      const tracker = new ProgressTracker([{ phase: 'lora', image: 0, total: 0, weight: 1 }], 0, given);
      return tracker.stage((onEvent) => weights.setBase(set, scope, onEvent));
    });
    for (const warning of report.warnings) warn(warning);
    return report;
  }
}

function warn(message: string): void {
  notify(() => {
    process.emitWarning(message, { type: 'LoraWarning', code: 'LORA_UNMATCHED_KEYS' });
  }, undefined);
}
