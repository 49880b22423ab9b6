import { DiffusionError } from '../errors/index.js';
import { checkModelFiles } from '../model/index.js';
import type { NativeLoadOptions, NativeModelFiles, NativeModelInfo } from '../native/index.js';
import type { OpenSecond, PipelineModel } from '../pipeline/index.js';
import { type Assembled, assemble } from './assemble.js';
import { fileStamps } from './identity.js';
import { captionOf, identityOf, type LoadContext, reopen, settingsOf } from './loading.js';
import { loadNeed, loadRefusal, measureLoad } from './loadMemory.js';
import { type CheckedLoadOptions, nativeLoadOptions } from './loadOptions.js';
import { modelFacts } from './modelInfo.js';
import { secondFiles } from './modules.js';

/** The model that a hires pass belongs to. */
export interface FirstModel {
  readonly options: CheckedLoadOptions;
  readonly files: NativeModelFiles;
  readonly device: string;
  /** Of its weights. */
  readonly bytes: number;
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

  /** The model of these files, loaded or not. Its files are checked the first time. */
  async open(
    files: NativeModelFiles,
    { options, device, bytes }: FirstModel,
    signal: AbortSignal | undefined,
  ): Promise<PipelineModel> {
    const stop = signal ?? new AbortController().signal;
    const stamps = await fileStamps(files);
    const request = nativeLoadOptions(options, files, device, this.#context.threads, this.#context.deviceOptions);
    const key = JSON.stringify([request, [...stamps]]);
    const known = this.#models.get(key);
    if (known !== undefined) return (await known).pipeline;
    await checkModelFiles(files, stop);
    const memory = { addon: this.#context.loaded.addon, ledger: this.#context.ledger };
    const measured = await measureLoad(memory, request, stop);
    // It need not fit beside the first model, which can make room for it.
    const relief = bytes + memory.ledger.spare;
    const shortage = memory.ledger.shortage(loadNeed(measured, memory.ledger), relief);
    if (shortage !== undefined) throw await loadRefusal(memory, request, shortage, stop);
    const info = { ...measured.info, components: measured.components };
    // Somebody else may have opened it meanwhile.
    const opened = this.#models.get(key) ?? this.#assemble(options, files, info, request, stamps);
    this.#models.set(key, opened);
    opened.catch(() => this.#models.delete(key));
    return (await opened).pipeline;
  }

  /** Frees the weights that no job needs now; returns their bytes. */
  async release(): Promise<number> {
    let bytes = 0;
    for (const { pipeline } of await Promise.all(this.#models.values())) {
      const { presence } = pipeline;
      if (!presence.loaded || presence.held) continue;
      bytes += presence.bytes;
      await presence.drop();
    }
    return bytes;
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
    info: NativeModelInfo,
    request: NativeLoadOptions,
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
    const { files, parts } = await secondFiles(wanted, first.files, signal);
    const model = await seconds.open(files, first, signal).catch((error: unknown) => {
      throw ofHires(error);
    });
    return { model, parts };
  };
}

/** A request has no option `checkpoint` of its own. */
function ofHires(error: unknown): unknown {
  if (!(error instanceof DiffusionError) || error.field === undefined || error.field.startsWith('hires.')) return error;
  const { code, message, given, allowed, hint, cause } = error;
  const field = error.field === 'checkpoint' || error.field === 'diffusionModel' ? 'hires.checkpoint' : 'hires.modules';
  return new DiffusionError(code, message.replace(`"${error.field}"`, `"${field}"`), {
    ...{ field, given, cause },
    ...(allowed === undefined ? {} : { allowed }),
    ...(hint === undefined ? {} : { hint }),
  });
}
