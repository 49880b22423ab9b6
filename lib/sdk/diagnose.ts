import { DiffusionError } from '../errors/index.js';
import { type Attempt, loadAddon, LoadError, ownVersion, platformTag } from '../native/index.js';
import { checkOptions, filePath, optional } from '../options/index.js';
import { listDevices } from './devices.js';
import { knownCrashes } from './probes.js';
import type { BackendInfo, DeviceInfo, Versions } from './types.js';

export type { Attempt };

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

/** Most of what `node-diffusion doctor` shows. Does not throw for a missing binary, that is one of its findings. */
export function diagnose(options: { readonly binary?: string | URL | undefined } = {}): Diagnosis {
  const { binary } = checkOptions('diagnose', options, { binary: optional(filePath()) });
  const base = { node: process.version, platform: platformTag(), package: ownVersion() };
  try {
    const loaded = loadAddon({ binary, skip: knownCrashes() });
    const { addon, path, backends, attempts } = loaded;
    const versions = { package: base.package, ...addon.versions };
    return {
      ...base,
      binary: path,
      attempts,
      problem: null,
      versions,
      backends,
      devices: listDevices(loaded),
      cpuFeatures: addon.cpuFeatures(),
    };
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    const attempts = error instanceof LoadError ? error.attempts : [];
    return {
      ...base,
      binary: null,
      attempts,
      problem: error.message,
      versions: null,
      backends: [],
      devices: [],
      cpuFeatures: {},
    };
  }
}
