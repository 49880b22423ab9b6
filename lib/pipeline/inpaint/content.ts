import type { JobScope, NativeModel, NativeTensor } from '../../native/index.js';
import type { PreparedLatents } from '../latents.js';
import { noiseOf } from '../variation.js';
import type { Masking } from './settings.js';

/**
 * The latents of one picture of a batch, with what it begins with inside the mask: noise of its seed under
 * `latent noise`, zeros under `latent nothing`. Everything else as it was encoded.
 */
export async function withMaskedContent(
  native: NativeModel,
  scope: JobScope,
  masking: Masking | null,
  latents: PreparedLatents,
  seed: number,
): Promise<PreparedLatents> {
  const { latent, mask } = latents;
  if (masking === null || mask === null) return latents;
  if (masking.content === 'latent nothing') return { ...latents, latent: inside(latent, mask, null) };
  if (masking.content !== 'latent noise') return latents;
  return { ...latents, latent: inside(latent, mask, await noiseOf(native, scope, seed, latent)) };
}

/** The latent outside the mask, other numbers (null: zeros) inside. */
export function inside(latent: NativeTensor, mask: NativeTensor, other: NativeTensor | null): NativeTensor {
  const cells = mask.data.length;
  const data = latent.data.map((value, i) => {
    const share = mask.data[i % cells] ?? 0;
    return value * (1 - share) + (other?.data[i] ?? 0) * share;
  });
  return { shape: latent.shape, data };
}
