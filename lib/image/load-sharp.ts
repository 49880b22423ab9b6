import type { Sharp, SharpInput, SharpOptions } from 'sharp';
import { DiffusionError } from '../errors/index.js';
import { requireHere } from '../here.js';

type SharpFactory = (input?: SharpInput, options?: SharpOptions) => Sharp;

let loaded: SharpFactory | undefined;

/**
 * sharp, loaded at the first use: its native library takes tens of milliseconds that `import 'node-diffusion'` need
 * not wait for. Through `require`, because its ES module does not parse on Node 20.9.
 * @throws DiffusionError `ERR_BACKEND_UNAVAILABLE` when sharp has no binary for this platform.
 */
export function loadSharp(): Promise<SharpFactory> {
  try {
    loaded ??= requireHere('sharp') as SharpFactory;
    return Promise.resolve(loaded);
  } catch (cause) {
    const hint = 'Install it for this platform: npm install --include=optional sharp.';
    const message = `The package sharp, which reads and writes pictures, cannot be loaded. ${hint}`;
    return Promise.reject(new DiffusionError('ERR_BACKEND_UNAVAILABLE', message, { field: 'sharp', hint, cause }));
  }
}
