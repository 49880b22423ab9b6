import { DiffusionError } from '../errors/index.js';
import { checkModelFiles } from '../model/index.js';
import type { NativeLoadMemory, NativeLoadOptions, NativeModelFiles } from '../native/index.js';
import type { CompiledGraphs, OpenedSecond, OpenSecond, PassParts, PipelineModel } from '../pipeline/index.js';
import { type Assembled, assemble } from './assemble.js';
import { fileStamps } from './identity.js';
import { captionOf, identityOf, type LoadContext, measurer, reopen, settingsOf, withField } from './loading.js';
import { admitsLoad, measureLoad } from './loadMemory.js';
import { type CheckedLoadOptions, nativeLoadOptions } from './loadOptions.js';
import { modelFacts } from './modelInfo.js';
import { builtIn, lentParts, secondFiles } from './modules.js';
import { modelKey } from './sharedModels.js';

/** The model that a hires pass belongs to. */
export interface FirstModel {
  readonly options: CheckedLoadOptions;
  readonly files: NativeModelFiles;
  readonly device: string;
  /** Of its weights. */
  readonly bytes: number;
  readonly graphs: CompiledGraphs;
  /** Of its files, from before they were loaded. */
  readonly stamps: ReadonlyMap<string, string>;
}

type SecondContext = Omit<LoadContext, 'seconds' | 'onDispose' | 'device'>;

/**
 * Opens models of hires checkpoints and refiners, by files and settings: those that are in the runtime already, or new
 * ones, which are loaded when their pass comes and stay in memory until others need the room. Owner: the runtime.
 */
export class SecondModels {
  readonly #context: SecondContext;
  /** Those that are just being opened. */
  readonly #opening = new Map<string, Promise<Assembled>>();

  constructor(context: SecondContext) {
    this.#context = context;
  }

  /** The model of these files, loaded or not. Its files are checked the first time. */
  async open(
    files: NativeModelFiles,
    stamps: ReadonlyMap<string, string>,
    parts: PassParts,
    { options, device, bytes, graphs }: FirstModel,
    signal: AbortSignal | undefined,
  ): Promise<PipelineModel> {
    const stop = signal ?? new AbortController().signal;
    const request = {
      ...nativeLoadOptions(options, files, device, this.#context.threads, this.#context.deviceOptions),
      withoutTextEncoder: parts.textEncoder === 'first',
      withoutVae: parts.vae === 'first',
    };
    const { shared } = this.#context;
    const key = modelKey(request, stamps, options.loraMode);
    // One that is there whole has what another would borrow as well.
    const whole = modelKey({ ...request, withoutTextEncoder: false, withoutVae: false }, ...[stamps, options.loraMode]);
    const known = (): Assembled | undefined => shared.find(whole, whole !== key) ?? shared.find(key);
    let opened = known();
    if (opened === undefined) {
      await checkModelFiles(files, stop);
      const measured = await measureLoad(this.#memory, request, stop).catch((error: unknown) => {
        throw ofFile(error, files);
      });
      // Somebody else may have opened it meanwhile.
      opened = known() ?? (await this.#once(key, () => this.#assemble(options, files, measured, request, stamps)));
    }
    const { pipeline } = opened;
    // It need not fit beside a first model that lends it nothing, which can make room for it.
    const { ledger } = this.#context;
    const spare = ledger.spareWeights + ledger.graphs(new Set([graphs])) + graphs.bytes;
    await pipeline.presence.admits((borrows(parts) ? 0 : bytes) + spare, stop);
    return pipeline;
  }

  /** Whoever comes while a model is put together gets that one. */
  #once(key: string, make: () => Promise<Assembled>): Promise<Assembled> {
    const opening =
      this.#opening.get(key) ??
      make()
        .then((model) => {
          this.#context.shared.add(key, model, false);
          return model;
        })
        .finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  /** Resolves when nothing is being opened. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#opening.values());
  }

  get #memory() {
    return { addon: this.#context.loaded.addon, ledger: this.#context.ledger };
  }

  async #assemble(
    options: CheckedLoadOptions,
    files: NativeModelFiles,
    measured: NativeLoadMemory,
    request: NativeLoadOptions,
    stamps: ReadonlyMap<string, string>,
  ): Promise<Assembled> {
    let facts = await modelFacts({ ...measured.info, components: measured.components }, files, false);
    const read = reopen(this.#context, request, facts.name, stamps);
    const caption = captionOf(options, { files, embedded: false });
    return assemble({
      ...this.#context,
      ...settingsOf(options, this.#context),
      ...{ info: facts, loaded: undefined, files, stamps },
      // Only now is it known for certain what the model predicts.
      open: async (onEvent, signal) => {
        const loaded = await read(onEvent, signal);
        facts = await modelFacts(loaded.native.info, files, false);
        return loaded;
      },
      measure: measurer(this.#context, request),
      facts: () => facts,
      describe: () => caption,
      identity: identityOf(stamps, request),
      holders: 0,
      admits: admitsLoad(this.#memory, request, measured),
    });
  }
}

/** How a model finds that of a hires checkpoint or a refiner. */
export function secondOpener(seconds: SecondModels, first: FirstModel): OpenSecond {
  return async (wanted, signal) => {
    const { files, parts, canStandAlone } = await secondFiles(wanted, first.files, signal);
    const stamps = await fileStamps(files);
    const lent = lentParts(files, stamps, parts, wanted.others);
    const open = async (own: PassParts, lenders: OpenedSecond['lenders'] = {}): Promise<OpenedSecond> => ({
      model: await seconds.open(files, stamps, own, first, signal),
      ...{ parts: own, lenders },
    });
    // A file that was replaced since is another module.
    const isNew = [...stamps].some(([path, stamp]) => first.stamps.has(path) && first.stamps.get(path) !== stamp);
    const wished = isNew && canStandAlone ? builtIn : lent.parts;
    return open(wished, lent.lenders)
      .catch((error: unknown) => {
        // Where there is no room for both, it has everything of its own and the first can leave.
        if (!canStandAlone || !borrows(wished) || !isOutOfMemory(error)) throw error;
        return open(builtIn);
      })
      .catch((error: unknown) => {
        throw ofOption(error, wanted.within);
      });
  };
}

/** A job has several checkpoints: whatever the native side finds wrong with a model, its file is named. */
function ofFile(error: unknown, files: NativeModelFiles): unknown {
  const known = withField(error, files);
  if (!(known instanceof DiffusionError) || known.field !== undefined || !known.code.startsWith('ERR_MODEL_'))
    return known;
  const field = files.checkpoint === undefined ? 'diffusionModel' : 'checkpoint';
  const given = files[field];
  const message = `The model "${String(given)}" cannot be loaded: ${known.message}`;
  return new DiffusionError(known.code, message, { field, given, cause: known });
}

/** A request has no option `checkpoint` of its own. */
function ofOption(error: unknown, within: string): unknown {
  if (!(error instanceof DiffusionError) || error.field === undefined || error.field.startsWith(within)) return error;
  const { code, message, given, allowed, hint, cause } = error;
  const field =
    error.field === 'checkpoint' || error.field === 'diffusionModel' ? `${within}checkpoint` : `${within}modules`;
  return new DiffusionError(code, message.replace(`"${error.field}"`, `"${field}"`), {
    ...{ field, given, cause },
    ...(allowed === undefined ? {} : { allowed }),
    ...(hint === undefined ? {} : { hint }),
  });
}

function borrows({ textEncoder, vae }: PassParts): boolean {
  return textEncoder === 'first' || vae === 'first';
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof DiffusionError && error.code === 'ERR_OUT_OF_MEMORY';
}
