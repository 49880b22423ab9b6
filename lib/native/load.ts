import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { DiffusionError, type ErrorDetails } from '../errors/index.js';
import { type Attempt, loadAdvice } from './advice.js';
import { type BackendFolder, backendFolders, loadBackends, type SkippedModules } from './backends.js';
import { binaryCandidates, type Candidate, packageVersion } from './candidates.js';
import type { NativeAddon, NativeBackendReport } from './contract.js';
import { packageRoot } from '../here.js';
import { type SystemLibraries, systemLibraries } from './libraries.js';
import { platformTag } from './platform.js';

export interface LoadedAddon {
  readonly addon: NativeAddon;
  /** Absolute path of the binary. */
  readonly path: string;
  /** Where its backend modules lie. */
  readonly folders: readonly BackendFolder[];
  readonly backends: readonly NativeBackendReport[];
  /** Every place that was looked at, the used one last. */
  readonly attempts: readonly Attempt[];
  /** Of an addon whose engine runs in a process of its own. */
  readonly engine?: {
    /** Of the process that runs now; undefined while there is none. */
    readonly pid: number | undefined;
    /** Ends the process. Idempotent. */
    close(): Promise<void>;
  };
}

export interface LoadAddonOptions {
  /** Path of the addon; used or failed, nothing else is tried. */
  readonly binary?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly root?: string;
  readonly tag?: string;
  /** False: the backend modules are left alone, another process loads them. Default: true. */
  readonly backends?: boolean;
  /** Modules that `doctor` saw crash. Default: none. */
  readonly skip?: SkippedModules;
  /** C libraries of the system; for tests. */
  readonly libraries?: Partial<SystemLibraries>;
  /** How a binary is loaded; for tests. */
  readonly require?: (path: string) => unknown;
}

/** `ERR_BACKEND_UNAVAILABLE` because no binary could be loaded. */
export class LoadError extends DiffusionError {
  readonly attempts: readonly Attempt[];

  constructor(message: string, attempts: readonly Attempt[], details: ErrorDetails) {
    super('ERR_BACKEND_UNAVAILABLE', message, details);
    this.attempts = attempts;
  }
}

const loaded = new Map<string, LoadedAddon>();

/** Version of this package, from its package.json. */
export function ownVersion(root: string = packageRoot): string {
  return packageVersion(join(root, 'package.json'));
}

/**
 * Finds and loads the addon, then the backend modules beside it and those of installed backend packages of the same
 * version. Loaded once per binary and thread.
 * Order: option `binary`, NODE_DIFFUSION_BINARY, build/Release, prebuilds/, the platform package of the same version.
 * @throws DiffusionError `ERR_BACKEND_UNAVAILABLE` that lists what was tried and names one command that mends it.
 */
export function loadAddon(options: LoadAddonOptions = {}): LoadedAddon {
  const { root = packageRoot, tag = platformTag() } = options;
  const version = ownVersion(root);
  const libraries = (): SystemLibraries => ({ ...systemLibraries(), ...options.libraries });
  const context = { root, tag, version, libraries };
  const candidates = binaryCandidates({ ...context, binary: options.binary, env: options.env ?? process.env });
  const load = options.require ?? createRequire(join(root, 'package.json'));
  const attempts: Attempt[] = [];
  const causes: unknown[] = [];
  for (const candidate of candidates) {
    const known = options.require === undefined ? loaded.get(candidate.path) : undefined;
    if (known !== undefined) return known;
    const { source, path } = candidate;
    if (candidate.problem !== undefined) {
      attempts.push({ source, path, problem: candidate.problem });
      continue;
    }
    try {
      const addon = asAddon(load(path), candidate);
      const folders = backendFolders(dirname(path), context);
      const backends = options.backends === false ? [] : loadBackends(addon, folders, options.skip);
      const all = [...attempts, { source, path, problem: '' }];
      const result: LoadedAddon = { addon, path, folders, backends, attempts: all };
      if (options.require === undefined && options.backends !== false) loaded.set(path, result);
      return result;
    } catch (error) {
      // A binary that is there but does not load is remembered, never skipped in silence; a later one may still serve.
      causes.push(error);
      attempts.push({ source, path, problem: error instanceof Error ? error.message : String(error) });
    }
  }
  const tried = attempts.map(({ source, path, problem }) => `  - ${source}: ${path}: ${problem}`).join('\n');
  const hint = loadAdvice({ root, tag, version, attempts, libraries: libraries() });
  throw new LoadError(`No native binary for ${tag} could be loaded. Tried:\n${tried}\n${hint}`, attempts, {
    field: 'binary',
    hint,
    ...(causes.length > 0 ? { cause: causes[0] } : {}),
  });
}

function asAddon(value: unknown, { path }: Candidate): NativeAddon {
  if (typeof value === 'object' && value !== null && 'loadModel' in value && 'loadBackends' in value) {
    return value as NativeAddon;
  }
  throw new TypeError(`${path} is a Node addon, but not the one of this package`);
}
