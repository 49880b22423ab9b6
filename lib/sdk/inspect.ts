import { DiffusionError } from '../errors/index.js';
import {
  inspectModel as inspect,
  type ModelFileOptions,
  type ModelInspection,
  type ModelPath,
} from '../model/index.js';
import { loadAddon, type NativeAddon } from '../native/index.js';
import { checkOptions, filePath, optional, signal } from '../options/index.js';
import { knownCrashes } from './probes.js';

export interface InspectModelOptions {
  readonly signal?: AbortSignal | undefined;
  /** Path of the addon, as for `createRuntime`. */
  readonly binary?: string | URL | undefined;
}

/**
 * Header facts of a model file, a diffusers directory or the files of a model: kind, architecture, components, tensors,
 * metadata. No weights are read. Without a native binary for this system everything but the architecture is told.
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT`, `ERR_MODEL_UNSUPPORTED`, `ERR_INVALID_OPTION`.
 */
export async function inspectModel(
  model: ModelPath | ModelFileOptions,
  options: InspectModelOptions = {},
): Promise<ModelInspection> {
  const checked = checkOptions('inspectModel', options, { signal: optional(signal()), binary: optional(filePath()) });
  return inspect(model, { signal: checked.signal, native: engine(checked.binary) });
}

/** The engine knows the architectures; a system without it can still read headers. */
function engine(binary: string | undefined): NativeAddon | undefined {
  try {
    return loadAddon({ binary, skip: knownCrashes() }).addon;
  } catch (error) {
    if (binary === undefined && error instanceof DiffusionError && error.code === 'ERR_BACKEND_UNAVAILABLE')
      return undefined;
    throw error;
  }
}
