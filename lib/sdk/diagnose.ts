import { DiffusionError } from '../errors/index.js';
import { type Attempt, loadAddon, type LoadedAddon, LoadError, ownVersion, platformTag } from '../native/index.js';
import { checkOptions, filePath, optional } from '../options/index.js';
import { listDevices } from './devices.js';
import { openIsolated, resolveIsolation } from './isolation.js';
import type { BackendInfo, DeviceInfo, Versions } from './types.js';

export interface Diagnosis {
  readonly node: string;
  /** `linux-x64`, `linuxmusl-x64`, … */
  readonly platform: string;
  readonly package: string;
  /** Absolute path of the addon; null when none could be loaded. */
  readonly binary: string | null;
  /** Where the addon was looked for, in order. */
  readonly attempts: readonly Attempt[];
  /** What is wrong and what to do; null when all is well. */
  readonly problem: string | null;
  readonly versions: Versions | null;
  readonly backends: readonly BackendInfo[];
  readonly devices: readonly DeviceInfo[];
  /** Instruction sets in use on the CPU. */
  readonly cpuFeatures: Readonly<Record<string, boolean>>;
}

/** What `node-diffusion doctor` shows. Does not throw for a missing binary, that is one of its findings. */
export function diagnose(options: { readonly binary?: string | URL | undefined } = {}): Diagnosis {
  const { binary } = checkOptions('diagnose', options, { binary: optional(filePath()) });
  try {
    return found(loadAddon({ binary }));
  } catch (error) {
    return notFound(error);
  }
}

/** As {@link diagnose}, with the drivers of all backends started in a process of their own: one may crash. */
export async function diagnoseApart({ binary }: { readonly binary?: string | undefined } = {}): Promise<Diagnosis> {
  try {
    const loaded = await openIsolated(binary, resolveIsolation('process'));
    try {
      return found(loaded);
    } finally {
      await loaded.engine?.close();
    }
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'ERR_ENGINE_CRASHED') return notFound(error);
    const cause = error.cause instanceof Error ? `\n${error.cause.message}` : '';
    const problem = `Looking for devices ended the process that did it, so a driver is broken. ${error.message}${cause}`;
    return { ...found(loadAddon({ binary, backends: false })), problem };
  }
}

function base() {
  return { node: process.version, platform: platformTag(), package: ownVersion() };
}

function found(loaded: LoadedAddon): Diagnosis {
  const { addon, path, backends, attempts } = loaded;
  return {
    ...base(),
    binary: path,
    attempts,
    problem: null,
    versions: { package: ownVersion(), ...addon.versions },
    backends,
    devices: listDevices(loaded),
    cpuFeatures: addon.cpuFeatures(),
  };
}

function notFound(error: unknown): Diagnosis {
  if (!(error instanceof DiffusionError)) throw error;
  return {
    ...base(),
    binary: null,
    attempts: error instanceof LoadError ? error.attempts : [],
    problem: error.message,
    versions: null,
    backends: [],
    devices: [],
    cpuFeatures: {},
  };
}
