import { availableParallelism } from 'node:os';
import { DiffusionError } from '../errors/index.js';
import {
  checkModelFiles,
  ensureEmbeddedModel,
  type LoadedNative,
  type MeasureUnloaded,
  modelFilePaths,
  type OpenNative,
} from '../model/index.js';
import type { InfotextModel } from '../image/index.js';
import {
  type LoadedAddon,
  type NativeEvent,
  type NativeLoadOptions,
  type NativeModel,
  type NativeModelFiles,
  ownVersion,
  runJob,
} from '../native/index.js';
import { type ModelIdentity, ProgressTracker } from '../pipeline/index.js';
import type { LoraDirectories } from '../weights/index.js';
import { type MemoryLedger, sumBytes } from '../memory/index.js';
import { type Assembled, assemble, type AssembleInit } from './assemble.js';
import { besideCheck } from './besideCheck.js';
import { admitLoad, admitsLoad, explainLoad } from './loadMemory.js';
import { type CheckedLoadOptions, nativeLoadOptions, threadsFor } from './loadOptions.js';
import { fileStamps } from './identity.js';
import { Model } from './model.js';
import { modelFacts, modelName } from './modelInfo.js';
import { withReadAhead } from './openvino.js';
import { secondOpener, type SecondModels } from './second.js';
import { modelKey, type SharedModels } from './sharedModels.js';

/** What reading weights needs. */
export interface WeightsContext {
  readonly loaded: Pick<LoadedAddon, 'addon'>;
  readonly ledger: MemoryLedger;
}

/** What the models of a runtime share. */
export interface LoadContext extends WeightsContext, Pick<AssembleInit, 'residency' | 'log' | 'openUpscaler'> {
  readonly device: string;
  readonly threads: number;
  /** What the device's backend is made with. */
  readonly deviceOptions: string;
  readonly loraDirectories: LoraDirectories;
  readonly seconds: SecondModels;
  readonly shared: SharedModels;
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
  const request = nativeLoadOptions(
    options,
    files,
    options.device ?? context.device,
    context.threads,
    context.deviceOptions,
  );
  const key = modelKey(request, stamps, options.loraMode);
  const made = (assembled: Assembled): Model => {
    const { shared, seconds, onDispose } = context;
    const { facts, memory } = assembled.pipeline;
    const { graphs } = memory.cache;
    const first = { options, files, stamps, graphs, device: request.device, bytes: sumBytes(facts.components) };
    const openSecond = secondOpener(seconds, first);
    return new Model({
      ...{ assembled, facts, files, openSecond, onDispose, caption: captionOf(options, resolved) },
      abandon: () => shared.abandon(assembled),
    });
  };
  const opened = context.shared.adopt(key, embedded);
  if (opened !== undefined) return made(await takeOver(context, opened, tracker, signal));
  const loaded = await besideCheck(
    check,
    (stop) =>
      tracker.stage((onEvent) =>
        loadNative(context, request, { name: modelName(files, embedded), stamps }, onEvent, stop, signal),
      ),
    signal,
    giveUp,
  );
  try {
    const { info } = loaded.native;
    const facts = await modelFacts(info, files, embedded);
    signal.throwIfAborted();
    const memory = { addon: context.loaded.addon, ledger: context.ledger };
    const assembled = assemble({
      ...context,
      ...{ loaded, info, files, stamps, holders: 1, facts: () => facts },
      open: reopen(context, request, facts.name, stamps),
      measure: measurer(context, request),
      describe: () => captionOf(options, resolved),
      identity: identityOf(stamps, request),
      ...settingsOf(options, context),
      admits: admitsLoad(memory, request),
    });
    context.shared.add(key, assembled, true);
    return made(assembled);
  } catch (error) {
    giveUp(loaded);
    throw error;
  }
}

/** A model that jobs of others have opened is somebody's own now. Its weights are read where they are not there. */
async function takeOver(
  { shared }: Pick<LoadContext, 'shared'>,
  opened: Assembled,
  tracker: ProgressTracker,
  signal: AbortSignal,
): Promise<Assembled> {
  const { pipeline, resident } = opened;
  try {
    await tracker.stage(async (onEvent) => {
      if (resident.loaded) return;
      // Nobody else is reading them then, or stops doing so.
      const release = await pipeline.queue.turn.take(signal);
      try {
        await resident.load(onEvent, signal);
      } finally {
        release();
      }
    });
    signal.throwIfAborted();
    return opened;
  } catch (error) {
    shared.giveBack(opened);
    throw error;
  }
}

/** What decides how LoRAs reach the weights and what is kept in memory. */
export function settingsOf(
  options: CheckedLoadOptions,
  context: Pick<LoadContext, 'loraDirectories' | 'threads'>,
): Pick<AssembleInit, 'cacheBytes' | 'loras'> {
  const { loraMode: mode, loraBackup: backup, loraCacheBytes: cacheBytes } = options;
  const threads = threadsFor(options, context.threads) || availableParallelism();
  const loras = { mode, backup, cacheBytes, threads, directories: context.loraDirectories };
  return { cacheBytes: options.conditioningCacheBytes, loras };
}

/** Names what is in memory where: a part of keys of compiled graphs. */
export function identityOf(stamps: ReadonlyMap<string, string>, request: NativeLoadOptions): ModelIdentity {
  const weights = [...stamps].map(([path, stamp]) => `${path} ${stamp}`).join('\n');
  return { weights, device: request.device, precision: request.weightType };
}

/** Reads weights again that were dropped; they must be those that were loaded. */
export function reopen(
  context: WeightsContext,
  request: NativeLoadOptions,
  name: string,
  stamps: ReadonlyMap<string, string>,
): OpenNative {
  return async (onEvent, signal) => {
    const now = await fileStamps(request.files);
    for (const [path, stamp] of stamps) if (now.get(path) !== stamp) throw changedFile(path);
    return loadNative(context, request, { name, stamps }, onEvent, signal, signal);
  };
}

/** Measures jobs of a model while its weights are not in memory. */
export function measurer({ loaded }: WeightsContext, load: NativeLoadOptions): MeasureUnloaded {
  return (job) => loaded.addon.measureJob({ load, job });
}

function changedFile(path: string): DiffusionError {
  const hint = 'Put the file back, or load the model anew.';
  const message = `The file ${path} is not the one that was loaded, so the model cannot be read again. ${hint}`;
  return new DiffusionError('ERR_MODEL_CHANGED', message, { given: path, hint });
}

async function loadNative(
  context: WeightsContext,
  request: NativeLoadOptions,
  { name, stamps }: { readonly name: string; readonly stamps: ReadonlyMap<string, string> },
  onEvent: (event: NativeEvent) => void,
  signal: AbortSignal,
  caller: AbortSignal,
): Promise<LoadedNative> {
  const { files } = request;
  const memory = { addon: context.loaded.addon, ledger: context.ledger };
  const place = await admitLoad(memory, request, signal).catch((error: unknown) => {
    throw withField(error, files);
  });
  const source = { model: name, kind: 'load' };
  const deviceOptions = withReadAhead(request, stamps, context.ledger);
  const wanted = { ...request, deviceOptions, memoryBudget: place.memoryBudget };
  const { promise, settled } = runJob(() => context.loaded.addon.loadModel(wanted, onEvent), signal, free, source);
  try {
    const native = await promise;
    return { native, forget: place.settle(native.info.components) };
  } catch (error) {
    // After an abort the native side holds what it was given a little longer. Only a caller who aborts hears of it at
    // once; one whose files are refused has the memory back.
    void settled.then(place.release);
    if (!caller.aborted) await settled;
    throw withField(await explainLoad(memory, request, error, signal), files);
  }
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
export function withField(error: unknown, files: NativeModelFiles): unknown {
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

function giveUp({ native, forget }: LoadedNative): void {
  free(native);
  forget();
}

export function captionOf(options: CheckedLoadOptions, { files, embedded, sha256 }: ResolvedFiles): InfotextModel {
  const { rng, samplerRng, weightType, convolutionType, circular } = options;
  const both = typeof circular === 'object' ? circular.x && circular.y : circular === true;
  return {
    model: modelName(files, embedded),
    ...(sha256 === undefined ? {} : { modelHash: sha256.slice(0, 10) }),
    ...(files.vae === undefined ? {} : { vae: modelName({ checkpoint: files.vae }, false) }),
    rng: rng,
    ...(samplerRng === undefined || samplerRng === rng ? {} : { samplerRng: samplerRng }),
    ...(weightType === undefined ? {} : { weightType }),
    ...(convolutionType === 'f16' ? {} : { convolutionType }),
    ...(both ? { circular: true } : {}),
    generator: `node-diffusion ${ownVersion()}`,
  };
}
