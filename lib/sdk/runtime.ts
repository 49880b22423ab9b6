import { DiffusionError } from '../errors/index.js';
import { Residency } from '../model/index.js';
import { loadAddon, type LoadedAddon, type LogSource, ownVersion, sourceOf } from '../native/index.js';
import { availableMemory, host, MemoryLedger, processRss, sumBytes, threadLimit, totalOf } from '../memory/index.js';
import {
  arrayOf,
  boolean,
  byteSize,
  checkOptions,
  filePath,
  func,
  integer,
  oneOf,
  optional,
  signal,
  text,
  withDefault,
} from '../options/index.js';
import { type ModelEvent, notify, type ProgressEvent, ProgressTracker } from '../pipeline/index.js';
import { LoraDirectories } from '../weights/index.js';
import { deviceSpec, pickDevice } from './deviceChoice.js';
import { chooseDevice, type ChosenDevices, insteadOfOpenvino, listDevices } from './devices.js';
import { type Inform, informer, modelLog } from './informer.js';
import { disposeAbort, disposedError, type DisposeOptions } from './disposal.js';
import { type CheckedIsolation, isolationSpec, openIsolated, resolveIsolation } from './isolation.js';
import { openvinoSettings, openvinoSpec } from './openvino.js';
import { linkAbort } from './linkedAbort.js';
import { findFiles, type LoadContext, loadModel } from './loading.js';
import { loadNeed, measureLoad } from './loadMemory.js';
import { assertWeightsStay, checkLoadOptions, nativeLoadOptions, threadsFor, weightsLeave } from './loadOptions.js';
import type { Model } from './model.js';
import { knownCrashes } from './probes.js';
import { SecondModels } from './second.js';
import { SharedModels } from './sharedModels.js';
import { SharedUpscalers } from './sharedUpscaler.js';
import type {
  Backend,
  BackendInfo,
  DeviceInfo,
  LoadEstimate,
  LoadModelOptions,
  LoadUpscalerOptions,
  LogLevel,
  RuntimeOptions,
  Versions,
} from './types.js';
import { Upscaler } from './upscaler.js';
import { loadUpscalerWeights, measureUpscaler, upscalerName } from './upscalerWeights.js';

export const backendNames = ['auto', 'cpu', 'cuda', 'vulkan', 'openvino'] as const satisfies readonly Backend[];
const logLevels = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[];

const runtimeSpec = {
  backend: oneOf(backendNames, { default: 'auto' }),
  device: deviceSpec,
  binary: optional(filePath()),
  threads: integer({ min: 0, max: 1024, default: 0 }),
  memoryLimit: optional(byteSize()),
  logLevel: oneOf(logLevels, { default: 'warn' }),
  loraDirectories: withDefault(arrayOf(filePath(), { max: 1024 }), []),
  logger: optional(func<(level: LogLevel, message: string, source: LogSource) => void>()),
  isolation: isolationSpec,
  openvino: openvinoSpec,
} as const;

const upscalerSpec = {
  file: filePath(),
  device: optional(text({ allowEmpty: false, maxLength: 256 })),
  threads: optional(integer({ min: 0, max: 1024 })),
  tileSize: integer({ min: 16, max: 4096, default: 128 }),
  convDirect: boolean({ default: false }),
  offloadToCpu: boolean({ default: false }),
  signal: optional(signal()),
  onProgress: optional(func<(event: ProgressEvent) => void>()),
} as const;

/**
 * Loads the native part and chooses a device.
 * @throws DiffusionError `ERR_BACKEND_UNAVAILABLE` when there is no binary for this system or the backend is not there,
 *   saying what to install; `ERR_INVALID_OPTION`; `ERR_ENGINE_CRASHED` when an isolated engine dies at its start.
 */
export function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  return openRuntime(options, (binary, isolation) =>
    isolation.mode === 'process' ? openIsolated(binary, isolation) : loadAddon({ binary, skip: knownCrashes() }),
  );
}

/** {@link createRuntime} with another way to load the addon; for tests. */
export async function openRuntime(
  options: RuntimeOptions,
  load: (binary: string | undefined, isolation: CheckedIsolation) => LoadedAddon | Promise<LoadedAddon>,
): Promise<Runtime> {
  const checked = checkOptions('createRuntime', options, runtimeSpec);
  const { backend, device, binary, memoryLimit, logLevel, logger } = checked;
  const threads = checked.threads || threadLimit();
  const loaded = await load(binary, resolveIsolation(checked.isolation));
  const chosen = await closing(loaded, () => chooseDevice(loaded, backend, device));
  const { addon } = loaded;
  const deviceOptions = await closing(loaded, () => openvinoSettings(checked.openvino, chosen.backend, threads));
  if (logger !== undefined) {
    addon.setLogger(logLevel, (level, message, job) => {
      notify(() => {
        logger(level, message, sourceOf(job));
      }, undefined);
    });
  }
  const residency = new Residency();
  const ledger = new MemoryLedger({
    relieve: (relief) => residency.makeRoom(relief, 'Another model needs its memory.'),
    spare: () => residency.spareBytes,
    graphs: residency.graphs,
    limit: memoryLimit,
    available: (name) => deviceMemory(loaded, name),
    rss: () => (loaded.engine === undefined ? process.memoryUsage.rss() : processRss(loaded.engine.pid)),
  });
  const directories = new LoraDirectories(checked.loraDirectories);
  const tell = logger === undefined || logLevel === 'warn' || logLevel === 'error' ? undefined : informer(logger);
  const log = tell === undefined ? undefined : modelLog(tell);
  const instead = await closing(loaded, () => insteadOfOpenvino(loaded, chosen, checked));
  const devices = { chosen, instead, tell };
  const logs = logger !== undefined;
  return new Runtime(loaded, devices, threads, deviceOptions, logs, ledger, directories, residency, log);
}

/** Free bytes of a device; the CPU's and OpenVINO's are those of the system and of the process's control groups. */
function deviceMemory(loaded: LoadedAddon, name: string): number {
  const device = loaded.addon.devices().find((entry) => entry.name === name);
  const inHost = device?.type === 'cpu' || device?.type === 'accel';
  return device === undefined || inHost || name === host ? availableMemory() : device.memoryFree;
}

/** Runs a check; an isolated engine is not left behind when it fails. */
async function closing<T>(loaded: LoadedAddon, check: () => T): Promise<T> {
  try {
    return check();
  } catch (error) {
    await loaded.engine?.close();
    throw error;
  }
}

/**
 * The native engine on one device, and the models loaded with it. Made by `createRuntime`. Several runtimes may live
 * side by side; they share the binary, and the last `logger` given gets all messages of the thread. An isolated runtime
 * has a process and a logger of its own.
 */
export class Runtime {
  /** Backend in use: `cpu`, `cuda`, … */
  readonly backend: string;
  /** Device that models are loaded to unless they say otherwise. */
  readonly device: DeviceInfo;
  /** Backend modules that lie beside the binary, loaded or not. */
  readonly backends: readonly BackendInfo[];
  readonly versions: Versions;
  /** Absolute path of the addon in use. */
  readonly binary: string;
  readonly #loaded: LoadedAddon;
  readonly #instead: DeviceInfo | undefined;
  readonly #tell: Inform | undefined;
  readonly #threads: number;
  readonly #deviceOptions: string;
  readonly #logs: boolean;
  readonly #shared: Omit<LoadContext, 'seconds' | 'onDispose' | 'device'>;
  readonly #seconds: SecondModels;
  readonly #upscaling: SharedUpscalers;
  readonly #ledger: MemoryLedger;
  readonly #loading = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();
  readonly #models = new Set<Model>();
  readonly #upscalers = new Set<Upscaler>();
  #disposed: Promise<void> | undefined;

  /**
   * Not for callers; use `createRuntime`.
   * @internal
   */
  constructor(
    loaded: LoadedAddon,
    { chosen: device, instead, tell }: ChosenDevices,
    threads: number,
    deviceOptions: string,
    logs: boolean,
    ledger: MemoryLedger,
    loraDirectories: LoraDirectories,
    residency: Residency,
    log: ((event: ModelEvent) => void) | undefined,
  ) {
    const { addon } = loaded;
    this.#upscaling = new SharedUpscalers({
      ...{ addon, ledger, residency, log },
      request: (file) => ({
        ...{ file, device: device.name, deviceOptions, threads },
        ...{ convDirect: false, offloadToCpu: false },
      }),
    });
    this.#shared = {
      ...{ loaded, ledger, residency, log, loraDirectories, threads, deviceOptions },
      ...{ openUpscaler: this.#upscaling.open, shared: new SharedModels() },
    };
    this.#seconds = new SecondModels(this.#shared);
    this.#loaded = loaded;
    this.#instead = instead;
    this.#tell = tell;
    this.#threads = threads;
    this.#deviceOptions = deviceOptions;
    this.#logs = logs;
    this.#ledger = ledger;
    this.backend = device.backend;
    this.device = device;
    this.backends = loaded.backends;
    this.binary = loaded.path;
    this.versions = Object.freeze({ package: ownVersion(), ...loaded.addon.versions });
  }

  /**
   * Process id of the isolated engine, for monitoring; undefined without isolation, and while no process runs: after a
   * crash until the next job, and after `dispose()`.
   */
  get childPid(): number | undefined {
    return this.#loaded.engine?.pid;
  }

  /** Devices of all loaded backends, with their free memory now; of an isolated engine as of its last operation. */
  get devices(): readonly DeviceInfo[] {
    return listDevices(this.#loaded);
  }

  /** Models that are loaded. */
  get models(): readonly Model[] {
    return [...this.#models];
  }

  /**
   * Loads a model; without `checkpoint` and `diffusionModel` the embedded one.
   * @throws DiffusionError `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT`, `ERR_MODEL_UNSUPPORTED`, `ERR_OUT_OF_MEMORY`,
   *   `ERR_INVALID_OPTION`, `ERR_DISPOSED`; or the signal's reason.
   */
  async loadModel(options: LoadModelOptions = {}): Promise<Model> {
    this.#assertLive();
    const checked = checkLoadOptions(options);
    const device = this.#deviceName(checked);
    assertWeightsStay(checked, this.#backendOf(device));
    this.#tellInstead(device, checked);
    return this.#track(checked.signal, async (stop) => {
      const onDispose = (model: Model): void => void this.#models.delete(model);
      const model = await loadModel(
        { ...this.#shared, device, seconds: this.#seconds, onDispose },
        { ...checked, device },
        stop,
      );
      this.#models.add(model);
      return model;
    });
  }

  /**
   * The memory that `loadModel` with these options would take, from the files' headers and the weight types asked for.
   * No weights are read; the embedded model is unpacked when it was not before.
   * @throws DiffusionError as {@link loadModel}, but for `ERR_OUT_OF_MEMORY`.
   */
  async estimateLoad(options: LoadModelOptions = {}): Promise<LoadEstimate> {
    this.#assertLive();
    const checked = checkLoadOptions(options);
    const device = this.#deviceName(checked);
    assertWeightsStay(checked, this.#backendOf(device));
    return this.#track(checked.signal, async (stop) => {
      const request = nativeLoadOptions(
        checked,
        await findFiles(checked, stop),
        device,
        this.#threads,
        this.#deviceOptions,
      );
      const ledger = this.#ledger;
      const measured = await measureLoad({ addon: this.#loaded.addon, ledger }, request, stop);
      const need = loadNeed(measured, ledger);
      const components = measured.components.map(({ name, bytes, device: where }) => ({ name, bytes, device: where }));
      return Object.freeze({
        weights: sumBytes(components),
        components,
        readBuffers: measured.readBuffers,
        mapped: measured.mapped,
        peak: totalOf(need),
        available: ledger.available(device),
        limit: ledger.limit ?? null,
        fits: ledger.shortage(need, ledger.spare) === undefined,
      });
    });
  }

  /** Loads an ESRGAN model. Throws as {@link loadModel}. */
  async loadUpscaler(options: LoadUpscalerOptions): Promise<Upscaler> {
    this.#assertLive();
    const checked = checkOptions('loadUpscaler', options, upscalerSpec);
    const { file, tileSize, convDirect, offloadToCpu } = checked;
    const threads = threadsFor(checked, this.#threads);
    const device = this.#deviceName(checked);
    assertWeightsStay({ offloadToCpu }, this.#backendOf(device));
    this.#tellInstead(device, checked);
    const request = { file, device, deviceOptions: this.#deviceOptions, threads, convDirect, offloadToCpu };
    const context = { addon: this.#loaded.addon, ledger: this.#ledger };
    return this.#track(checked.signal, async (stop) => {
      const tracker = new ProgressTracker([{ phase: 'load', image: 0, total: 0, weight: 1 }], 0, checked);
      const weights = await tracker.stage(async (onEvent) => {
        const measured = await measureUpscaler(context, request, 'file', stop);
        return loadUpscalerWeights(context, request, measured, onEvent, stop);
      });
      const upscaler = new Upscaler({
        ...{ weights, tileSize, offloadToCpu, name: upscalerName(file), ledger: this.#ledger },
        onDispose: (gone) => void this.#upscalers.delete(gone),
      });
      this.#upscalers.add(upscaler);
      return upscaler;
    });
  }

  /**
   * Frees the models of hires checkpoints that no job works with, and the upscaler model of hires passes. They are read
   * again when they are wanted.
   * @returns bytes of the weights that were freed.
   */
  async releaseHires(): Promise<number> {
    this.#assertLive();
    await this.#upscaling.release();
    return this.#shared.shared.release();
  }

  /**
   * Disposes of all models and upscalers of this runtime, each after its running job or, with `abort`, without waiting
   * for it. Loads under way are waited for, or aborted. May be called again; the later call can still abort.
   */
  async dispose(options: DisposeOptions = {}): Promise<void> {
    const { abort } = checkOptions('dispose', options, { abort: boolean({ default: false }) });
    if (abort) this.#stop.abort(disposeAbort('runtime'));
    const freed = this.#free(abort);
    this.#disposed ??= freed;
    await Promise.all([freed, this.#disposed]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #free(abort: boolean): Promise<void> {
    // The ones that are there are closed at once, those being loaded as soon as they are.
    const first = this.#freeAll(abort);
    await Promise.allSettled(this.#loading);
    await first;
    await this.#freeAll(abort);
    await this.#seconds.idle();
    await this.#shared.shared.dispose(() => new DiffusionError('ERR_DISPOSED', 'The runtime was disposed.'));
    await this.#upscaling.dispose();
    if (this.#logs) this.#loaded.addon.setLogger('error', null);
    await this.#loaded.engine?.close();
  }

  async #freeAll(abort: boolean): Promise<void> {
    const results = await Promise.allSettled(
      [...this.#models, ...this.#upscalers].map((owned) => owned.dispose({ abort })),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Runs a load under the caller's signal and the runtime's own. */
  async #track<T>(given: AbortSignal | undefined, load: (stop: AbortSignal) => Promise<T>): Promise<T> {
    given?.throwIfAborted();
    const { controller, unlink } = linkAbort([given, this.#stop.signal]);
    const work = load(controller.signal);
    this.#loading.add(work);
    try {
      return await work;
    } finally {
      this.#loading.delete(work);
      unlink();
    }
  }

  #deviceName(options: Parameters<typeof weightsLeave>[0] & { readonly device?: string | undefined }): string {
    if (options.device !== undefined) return pickDevice(listDevices(this.#loaded), options.device).name;
    return (weightsLeave(options) ? this.#instead : undefined)?.name ?? this.device.name;
  }

  /** Tells of one that is elsewhere than others, since nobody has asked for it. */
  #tellInstead(device: string, asked: { readonly device?: string | undefined }): void {
    if (asked.device !== undefined || device === this.device.name) return;
    const why = `"auto" has chosen "${this.device.name}", which takes no offloadToCpu and no maxVram`;
    this.#tell?.(`loading to "${device}": ${why}`, { kind: 'load' });
  }

  #backendOf(device: string): string {
    return listDevices(this.#loaded).find(({ name }) => name === device)?.backend ?? this.backend;
  }

  #assertLive(): void {
    if (this.#disposed !== undefined) throw disposedError('runtime', 'Make another with createRuntime.');
  }
}
