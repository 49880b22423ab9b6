import { readModelHeaders, checkModelFiles, type Residency } from '../model/index.js';
import type { NativeModelFiles } from '../native/index.js';
import type { ModelFacts, OpenSecond, PassParts, PipelineModel, SecondRequest } from '../pipeline/index.js';
import { DiffusionError } from '../errors/index.js';
import { type Assembled, assemble } from './assemble.js';
import { fileStamps } from './identity.js';
import { captionOf, identityOf, type LoadContext, reopen, settingsOf } from './loading.js';
import { loadNeed, loadRefusal, measureLoad } from './loadMemory.js';
import { type CheckedLoadOptions, nativeLoadOptions } from './loadOptions.js';
import { modelFacts } from './modelInfo.js';
import { moduleFiles, whatIsIn } from './modules.js';

/** The model that a hires pass belongs to. */
export interface FirstModel {
  readonly options: CheckedLoadOptions;
  readonly files: NativeModelFiles;
  readonly device: string;
}

type SecondContext = Omit<LoadContext, 'seconds' | 'onDispose' | 'device'>;

/**
 * Models of hires checkpoints. Each is opened by its files and settings, loaded when its pass comes, and stays in memory
 * until others need the room. Owner: the runtime.
 */
export class SecondModels {
  readonly #context: SecondContext;
  readonly #models = new Map<string, Promise<Assembled>>();

  constructor(context: SecondContext) {
    this.#context = context;
  }

  /** Models that are open, in memory or not. */
  get size(): number {
    return this.#models.size;
  }

  /** The model of these files, loaded or not. Its files are checked the first time. */
  async open(
    files: NativeModelFiles,
    options: CheckedLoadOptions,
    device: string,
    spare: number,
    signal: AbortSignal | undefined,
  ): Promise<PipelineModel> {
    const stop = signal ?? new AbortController().signal;
    await checkModelFiles(files, stop);
    const stamps = await fileStamps(files);
    const request = nativeLoadOptions(options, files, device, this.#context.threads);
    const key = JSON.stringify([request, [...stamps]]);
    const known = this.#models.get(key);
    if (known !== undefined) return (await known).pipeline;
    const memory = { addon: this.#context.loaded.addon, ledger: this.#context.ledger };
    const measured = await measureLoad(memory, request, stop);
    const shortage = memory.ledger.shortage(loadNeed(measured, memory.ledger), spare + this.#context.residency.spareBytes);
    if (shortage !== undefined) throw await loadRefusal(memory, request, shortage, stop);
    const info = { ...measured.info, components: measured.components };
    // Somebody else may have opened it meanwhile.
    const opened = this.#models.get(key) ?? this.#assemble(options, files, info, request, stamps);
    this.#models.set(key, opened);
    opened.catch(() => this.#models.delete(key));
    return (await opened).pipeline;
  }

  /** Frees all. */
  async dispose(): Promise<void> {
    const models = await Promise.allSettled(this.#models.values());
    this.#models.clear();
    for (const model of models) {
      if (model.status === 'rejected') continue;
      const { pipeline, resident } = model.value;
      await pipeline.queue.close(() => new DiffusionError('ERR_DISPOSED', 'The runtime was disposed.'));
      pipeline.cache.clear();
      pipeline.presence.remove();
      await resident.dispose();
    }
  }

  async #assemble(
    options: CheckedLoadOptions,
    files: NativeModelFiles,
    info: ModelFacts | Parameters<typeof modelFacts>[0],
    request: ReturnType<typeof nativeLoadOptions>,
    stamps: ReadonlyMap<string, string>,
  ): Promise<Assembled> {
    let facts = await modelFacts(info, files, false);
    const read = reopen(this.#context, request, facts.name, stamps);
    const caption = captionOf(options, { files, embedded: false });
    return assemble({
      ...this.#context,
      ...settingsOf(options, this.#context),
      ...{ info: facts, loaded: undefined, stamps },
      // Only now is it known for certain what the model predicts.
      open: async (onEvent, signal) => {
        const loaded = await read(onEvent, signal);
        facts = await modelFacts(loaded.native.info, files, false);
        return loaded;
      },
      facts: () => facts,
      describe: () => caption,
      identity: identityOf(stamps, request),
      holders: 0,
    });
  }
}

/** How a model finds that of its hires checkpoint. */
export function secondOpener(seconds: SecondModels, first: FirstModel): OpenSecond {
  return async (wanted, signal) => {
    try {
      const { files, parts } = await filesOf(wanted, first, signal);
      const model = await seconds.open(files, first.options, first.device, first.bytes(), signal);
      return { model, parts };
    } catch (error) {
      throw asHires(error);
    }
  };
}
