import type { Sharp, SharpInput, SharpOptions } from 'sharp';
import { DiffusionError } from '../errors/index.js';

type SharpFactory = (input?: SharpInput, options?: SharpOptions) => Sharp;

let loaded: Promise<SharpFactory> | undefined;

/**
 * sharp, loaded at the first use: its native library takes tens of milliseconds that `import 'node-diffusion'` need
 * not wait for.
 * @throws DiffusionError `ERR_BACKEND_UNAVAILABLE` when sharp has no binary for this platform.
 */
export function loadSharp(): Promise<SharpFactory> {
  loaded ??= import('sharp').then(
    (module) => module.default,
    (cause: unknown) => {
      loaded = undefined;
      const hint = 'Install it for this platform: npm install --include=optional sharp.';
      throw new DiffusionError(
        'ERR_BACKEND_UNAVAILABLE',
        `The package sharp, which reads and writes pictures, cannot be loaded. ${hint}`,
        {
          field: 'sharp',
          hint,
          cause,
        },
      );
    },
  );
  return loaded;
}
