import { DiffusionError } from '../errors/index.js';
import { checkModelFiles, ensureEmbeddedModel, modelFilePaths } from '../model/index.js';
import type { InfotextModel } from '../image/index.js';
import {
  type LoadedAddon,
  type NativeEvent,
  type NativeModel,
  type NativeModelFiles,
  ownVersion,
  runJob,
} from '../native/index.js';
import { ProgressTracker } from '../pipeline/index.js';
import type { LoraDirectories } from '../weights/index.js';
import type { MemoryLedger } from '../memory/index.js';
import { besideCheck } from './besideCheck.js';
import { admitLoad, explainLoad } from './loadMemory.js';
import { type CheckedLoadOptions, nativeLoadOptions } from './loadOptions.js';
import { fileStamps } from './identity.js';
import { Model } from './model.js';
import { modelFacts, modelName } from './modelInfo.js';

export interface LoadContext {
  readonly loaded: Pick<LoadedAddon, 'addon'>;
  readonly device: string;
  readonly threads: number;
  readonly loraDirectories: LoraDirectories;
  readonly ledger: MemoryLedger;
  readonly onDispose: (model: Model) => void;
}

interface ResolvedFiles {
  readonly files: NativeModelFiles;
  readonly embedded: boolean;
  /** Hash of the checkpoint where it is known without reading it. */
  readonly sha256?: string;
}

/** The files of a load, checked; the embedded model's are made when they are not there. */
export async function findFiles(options: CheckedLoadOptions, signal: AbortSignal): Promise<NativeModelFiles> {
  const tracker = new ProgressTracker([{ phase: 'load', image: 0, total: 0, weight: 1 }], 0, options);
  const { files, embedded } = await resolveFiles(options, tracker, signal);
  if (!embedded) await checkModelFiles(files, signal);
  return files;
}

function isEmbedded({ checkpoint, diffusionModel }: CheckedLoadOptions): boolean {
  return checkpoint === undefined && diffusionModel === undefined;
}

async function resolveFiles(
  options: CheckedLoadOptions,
  tracker: ProgressTracker,
  signal: AbortSignal,
): Promise<ResolvedFiles> {
  return isEmbedded(options)
    ? await unpackEmbedded(tracker, signal)
    : { files: modelFilePaths(options), embedded: false };
}

/**
 * Finds or makes the files, then has the addon load them. Their headers are checked in TypeScript meanwhile: the addon
 * checks them as well, before its engine reads them, but has less to say of what is wrong.
 */
export async function loadModel(
  context: LoadContext,
  options: CheckedLoadOptions,
  signal: AbortSignal,
): Promise<Model> {
  signal.throwIfAborted();
  // Unpacking the embedded model takes about as long as loading it, and only the first time.
  const stage = { phase: 'load', image: 0, total: 0, weight: 1 } as const;
  const tracker = new ProgressTracker(isEmbedded(options) ? [stage, stage] : [stage], 0, options);
  const resolved = await resolveFiles(options, tracker, signal);
  const { files, embedded } = resolved;
  signal.throwIfAborted();
  const stamps = await fileStamps(files);
  const check = (stop: AbortSignal) => (embedded ? Promise.resolve() : checkModelFiles(files, stop));
  const { native, forget } = await besideCheck(
    check,
    (stop) => loadNative(context, options, resolved, tracker, { stop, caller: signal }),
    signal,
    giveUp,
  );
  try {
    const facts = await modelFacts(native.info, files, embedded);
    signal.throwIfAborted();
    const caption = captionOf(options, resolved);
    return new Model({
      native,
      facts,
      files,
      caption,
      cacheBytes: options.conditioningCacheBytes,
      loras: {
        mode: options.loraMode,
        backup: options.loraBackup,
        cacheBytes: options.loraCacheBytes,
        directories: context.loraDirectories,
      },
      stamps,
      ledger: context.ledger,
      onDispose: (model) => {
        forget();
        context.onDispose(model);
      },
    });
  } catch (error) {
    giveUp({ native, forget });
    throw error;
  }
}

interface LoadedWeights {
  readonly native: NativeModel;
  /** Gives their memory back to the ledger. */
  readonly forget: () => void;
}

async function loadNative(
  context: LoadContext,
  options: CheckedLoadOptions,
  { files, embedded }: ResolvedFiles,
  tracker: ProgressTracker,
  { stop: signal, caller }: { readonly stop: AbortSignal; readonly caller: AbortSignal },
): Promise<LoadedWeights> {
  const request = nativeLoadOptions(options, files, options.device ?? context.device, context.threads);
  const memory = { addon: context.loaded.addon, ledger: context.ledger };
  const place = await admitLoad(memory, request, signal).catch((error: unknown) => {
    throw withField(error, files);
  });
  const source = { model: modelName(files, embedded), kind: 'load' };
  const native = await tracker.stage(async (onEvent) => {
    const wanted = { ...request, memoryBudget: place.memoryBudget };
    const start = () => context.loaded.addon.loadModel(wanted, onEvent);
    const { promise, settled } = runJob(start, signal, free, source);
    try {
      return await promise;
    } catch (error) {
      // After an abort the native side holds what it was given a little longer. Only a caller who aborts hears of it at
      // once; one whose files are refused has the memory back.
      void settled.then(place.release);
      if (!caller.aborted) await settled;
      throw withField(await explainLoad(memory, request, error, signal), files);
    }
  });
  return { native, forget: place.settle(native.info.components) };
}

async function unpackEmbedded(tracker: ProgressTracker, signal: AbortSignal): Promise<ResolvedFiles> {
  const { checkpoint, taesd, sha256 } = await tracker.stage((onEvent: (event: NativeEvent) => void) =>
    ensureEmbeddedModel({
      signal,
      onProgress: ({ bytes, totalBytes }) => {
        onEvent({ type: 'progress', phase: 'load', step: 0, total: 0, secondsPerStep: 0, bytes, totalBytes });
      },
    }),
  );
  return { files: { checkpoint, taesd }, embedded: true, sha256: sha256.checkpoint };
}

/** Names the option of the file that the native side complains of. */
function withField(error: unknown, files: NativeModelFiles): unknown {
  if (!(error instanceof DiffusionError) || error.field !== undefined) return error;
  const found = (Object.entries(files) as [string, string | undefined][]).find(
    ([, path]) => path !== undefined && error.message.includes(`"${path}"`),
  );
  if (found === undefined) return error;
  const [field, given] = found;
  return new DiffusionError(error.code, error.message, { field, given, cause: error.cause });
}

/** A model that nobody waits for any more. Its failure to be freed has nobody to be told to. */
function free(native: NativeModel): void {
  native.dispose().catch(() => undefined);
}

function giveUp({ native, forget }: LoadedWeights): void {
  free(native);
  forget();
}

function captionOf(options: CheckedLoadOptions, { files, embedded, sha256 }: ResolvedFiles): InfotextModel {
  const { rng, samplerRng, weightType, circular } = options;
  const both = typeof circular === 'object' ? circular.x && circular.y : circular === true;
  return {
    model: modelName(files, embedded),
    ...(sha256 === undefined ? {} : { modelHash: sha256.slice(0, 10) }),
    ...(files.vae === undefined ? {} : { vae: modelName({ checkpoint: files.vae }, false) }),
    rng: rng,
    ...(samplerRng === undefined || samplerRng === rng ? {} : { samplerRng: samplerRng }),
    ...(weightType === undefined ? {} : { weightType }),
    ...(both ? { circular: true } : {}),
    generator: `node-diffusion ${ownVersion()}`,
  };
}
