import { checkUpscalerFile } from '../model/index.js';
import { loadAddon, type LoadedAddon, ownVersion, runJob } from '../native/index.js';
import {
  arrayOf,
  boolean,
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
import { notify, type ProgressEvent, ProgressTracker } from '../pipeline/index.js';
import { LoraDirectories } from '../weights/index.js';
import { chooseDevice, findDevice, listDevices } from './devices.js';
import { disposeAbort, disposedError, type DisposeOptions } from './disposal.js';
import { loadModel } from './loading.js';
import { checkLoadOptions } from './loadOptions.js';
import type { Model } from './model.js';
import type {
  Backend,
  BackendInfo,
  DeviceInfo,
  LoadModelOptions,
  LoadUpscalerOptions,
  LogLevel,
  RuntimeOptions,
  Versions,
} from './types.js';
import { Upscaler } from './upscaler.js';

export const backendNames = ['auto', 'cpu', 'cuda', 'vulkan', 'openvino'] as const satisfies readonly Backend[];
const logLevels = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[];

const runtimeSpec = {
  backend: oneOf(backendNames, { default: 'auto' }),
  device: optional(text({ allowEmpty: false, maxLength: 256 })),
  binary: optional(filePath()),
  threads: integer({ min: 0, max: 1024, default: 0 }),
  logLevel: oneOf(logLevels, { default: 'warn' }),
  loraDirectories: withDefault(arrayOf(filePath(), { max: 1024 }), []),
  logger: optional(func<(level: LogLevel, message: string) => void>()),
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
 *   saying what to install; `ERR_INVALID_OPTION`.
 */
export function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  return openRuntime(options, (binary) => loadAddon({ binary }));
}

/** {@link createRuntime} with another way to load the addon; for tests. */
export async function openRuntime(
  options: RuntimeOptions,
  load: (binary: string | undefined) => LoadedAddon,
): Promise<Runtime> {
  const { backend, device, binary, threads, logLevel, logger, loraDirectories } = checkOptions(
    'createRuntime',
    options,
    runtimeSpec,
  );
  const loaded = load(binary);
  const chosen = chooseDevice(loaded, backend, device);
  const { addon } = loaded;
  if (logger !== undefined) {
    addon.setLogger(logLevel, (level, message) => {
      notify(() => {
        logger(level, message);
      }, undefined);
    });
  }
  return new Runtime(loaded, chosen, threads, logger !== undefined, new LoraDirectories(loraDirectories));
}

/**
 * The native engine on one device, and the models loaded with it. Made by `createRuntime`. Several runtimes may live
 * side by side; they share the binary, and the last `logger` given gets all messages of the thread.
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
  readonly #threads: number;
  readonly #logs: boolean;
  readonly #loraDirectories: LoraDirectories;
  readonly #loading = new Set<Promise<unknown>>();
  readonly #stop = new AbortController();
  readonly #models = new Set<Model>();
  readonly #upscalers = new Set<Upscaler>();
  #disposed: Promise<void> | undefined;

  /** Not for callers; use `createRuntime`. */
  constructor(
    loaded: LoadedAddon,
    device: DeviceInfo,
    threads: number,
    logs: boolean,
    loraDirectories: LoraDirectories,
  ) {
    this.#loraDirectories = loraDirectories;
    this.#loaded = loaded;
    this.#threads = threads;
    this.#logs = logs;
    this.backend = device.backend;
    this.device = device;
    this.backends = loaded.backends;
    this.binary = loaded.path;
    this.versions = Object.freeze({ package: ownVersion(), ...loaded.addon.versions });
  }

  /** Devices of all loaded backends, with their free memory now. */
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
    const device = this.#deviceName(checked.device);
    return this.#track(checked.signal, async (stop) => {
      const onDispose = (model: Model): void => void this.#models.delete(model);
      const model = await loadModel(
        {
          ...{ loaded: this.#loaded, device, threads: this.#threads, onDispose },
          loraDirectories: this.#loraDirectories,
        },
        { ...checked, device },
        stop,
      );
      this.#models.add(model);
      return model;
    });
  }

  /** Loads an ESRGAN model. Throws as {@link loadModel}. */
  async loadUpscaler(options: LoadUpscalerOptions): Promise<Upscaler> {
    this.#assertLive();
    const checked = checkOptions('loadUpscaler', options, upscalerSpec);
    const { file, threads = this.#threads, tileSize, convDirect, offloadToCpu } = checked;
    const device = this.#deviceName(checked.device);
    return this.#track(checked.signal, async (stop) => {
      await checkUpscalerFile(file, 'file', stop);
      stop.throwIfAborted();
      const tracker = new ProgressTracker([{ phase: 'load', image: 0, total: 0, weight: 1 }], 0, checked);
      const native = await tracker.stage((onEvent) => {
        const request = { file, device, threads, tileSize, convDirect, offloadToCpu };
        return runJob(
          () => this.#loaded.addon.loadUpscaler(request, onEvent),
          stop,
          (late) => {
            late.dispose().catch(() => undefined);
          },
        ).promise;
      });
      const upscaler = new Upscaler(native, (gone) => void this.#upscalers.delete(gone));
      this.#upscalers.add(upscaler);
      return upscaler;
    });
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
    if (this.#logs) this.#loaded.addon.setLogger('error', null);
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
    const controller = new AbortController();
    const sources = [given, this.#stop.signal].filter((source) => source !== undefined);
    const links = sources.map((source) => {
      const onAbort = (): void => {
        controller.abort(source.reason);
      };
      source.addEventListener('abort', onAbort, { once: true });
      return (): void => {
        source.removeEventListener('abort', onAbort);
      };
    });
    const work = load(controller.signal);
    this.#loading.add(work);
    try {
      return await work;
    } finally {
      this.#loading.delete(work);
      for (const unlink of links) unlink();
    }
  }

  #deviceName(name: string | undefined): string {
    return name === undefined ? this.device.name : findDevice(listDevices(this.#loaded), name).name;
  }

  #assertLive(): void {
    if (this.#disposed !== undefined) throw disposedError('runtime', 'Make another with createRuntime.');
  }
}
