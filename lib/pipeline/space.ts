import { stat } from 'node:fs/promises';
import { fileSha256 } from '../model/index.js';

/** File that the autoencoder of a space came from; `mtimeMs` and `bytes` make a changed file a different one. */
export interface SpaceSource {
  readonly path: string;
  readonly bytes: number;
  readonly mtimeMs: number;
}

/**
 * Identity of the latent space of a VAE. Latents mean something only in the space they were made in, so every latent
 * carries its space and models refuse those of another.
 */
export interface LatentSpace {
  /** `sd`, `sdxl`, `flux`, … or `taesd` when a tiny autoencoder replaces the VAE. */
  readonly family: string;
  readonly channels: number;
  /** Pixels per latent cell. */
  readonly scaleFactor: number;
  readonly source: SpaceSource;
}

const families: readonly (readonly [prefix: string, family: string])[] = [
  ['SDXL', 'sdxl'],
  ['SD3', 'sd3'],
  ['SD', 'sd'],
  ['Instruct-Pix2Pix', 'sd'],
  ['SVD', 'sd'],
  ['Flux.2', 'flux2'],
  ['Ernie', 'flux2'],
  ['Chroma Radiance', 'pixels'],
  ['Wan 2.2 TI2V', 'wan2.2'],
  ['Wan', 'wan'],
  ['Qwen', 'wan'],
  ['Anima', 'wan'],
];

/** Family of a VAE space by the engine's architecture name; FLUX's is shared by most of the rest. */
export function spaceFamily(architecture: string): string {
  return families.find(([prefix]) => architecture.startsWith(prefix))?.[1] ?? 'flux';
}

export async function spaceSource(path: string): Promise<SpaceSource> {
  const { size, mtimeMs } = await stat(path);
  return { path, bytes: size, mtimeMs };
}

/**
 * True when latents of one space can be used in the other: same family and same weights. The weights are compared by
 * path, size and time first; contents are hashed only when two different files are claimed to be the same space.
 */
export async function sameSpace(a: LatentSpace, b: LatentSpace): Promise<boolean> {
  if (a === b) return true;
  if (a.family !== b.family || a.channels !== b.channels || a.scaleFactor !== b.scaleFactor) return false;
  const [x, y] = [a.source, b.source];
  if (x.path === y.path) return x.bytes === y.bytes && x.mtimeMs === y.mtimeMs;
  if (x.bytes !== y.bytes) return false;
  const [first, second] = await Promise.all([fileSha256(x.path), fileSha256(y.path)]);
  return first === second;
}
