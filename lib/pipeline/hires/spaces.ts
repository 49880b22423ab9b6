import { fileSha256 } from '../../model/index.js';
import { taesdSha256 } from '../../model/embedded/pins.js';
import { type LatentSpace, sameSpace } from '../space.js';

/**
 * `same`: one autoencoder. `compatible`: two whose latents are known to mean the same. `different`: a latent of one is
 * noise to the other, so a picture has to go between them.
 */
export type SpaceRelation = 'same' | 'compatible' | 'different';

interface KnownSpace {
  readonly channels: number;
  readonly scaleFactor: number;
}

/**
 * Spaces whose autoencoders are interchangeable, by {@link LatentSpace.family}. Latents are compared as the diffusion
 * model sees them, after the engine's scale and shift (`auto_encoder_kl.hpp`, `wan.hpp`), which belong to the family.
 */
const knownSpaces: ReadonlyMap<string, KnownSpace> = new Map([
  // SD 1.x, 2.x, SDXS, InstructPix2Pix: the kl-f8 autoencoder of latent-diffusion, which the engine scales and previews
  // alike. Of its successors ft-EMA and ft-MSE only the decoder was trained, "to keep compatibility with existing
  // models" (model card of stabilityai/sd-vae-ft-mse).
  ['sd', { channels: 4, scaleFactor: 8 }],
  // Trained anew, other numbers in the same shape (SDXL report, arXiv 2307.01952, section 2.4). The fp16 fix of
  // madebyollin keeps its outputs.
  ['sdxl', { channels: 4, scaleFactor: 8 }],
  ['sd3', { channels: 16, scaleFactor: 8 }],
  // FLUX.1's ae.safetensors, which Chroma, Flex.2, Z-Image and Ovis-Image load as well (the engine's docs/chroma.md,
  // z_image.md, ovis_image.md).
  ['flux', { channels: 16, scaleFactor: 8 }],
  // FLUX.2's, shared with ERNIE-Image (docs/ernie_image.md); its small decoder has the full encoder (docs/flux2.md).
  ['flux2', { channels: 128, scaleFactor: 16 }],
  // Wan 2.1's, shared with Wan 2.2 A14B. Qwen-Image froze its encoder and trained the decoder (its report,
  // arXiv 2508.02324), so TAEHV serves both; Anima loads Qwen-Image's (docs/anima.md).
  ['wan', { channels: 16, scaleFactor: 8 }],
  ['wan2.2', { channels: 48, scaleFactor: 16 }],
  // Chroma Radiance has no autoencoder: its latents are pixels.
  ['pixels', { channels: 3, scaleFactor: 1 }],
]);

/**
 * A tiny autoencoder (TAESD, TAEF1, TAEHV …) is distilled from the family's own and reads and writes its latents
 * (README of madebyollin/taesd; the engine's docs/taesd.md), so it lives in the family's space …
 */
const tinySuffix = '-taesd';

/** … but for those trained on their own, by SHA-256: the embedded model's is one (models/nano/README.md). */
const ownCoders: ReadonlySet<string> = new Set([taesdSha256]);

/**
 * What a latent of one model is to another: by identity of the autoencoders, else by what is known of their families.
 * File names play no part. Latents that are not `different` may be enlarged and handed on by a latent upscaler.
 */
export async function relateSpaces(a: LatentSpace, b: LatentSpace): Promise<SpaceRelation> {
  if (a.channels !== b.channels || a.scaleFactor !== b.scaleFactor) return 'different';
  if (await sameSpace(a, b)) return 'same';
  const known = knownSpaces.get(base(a));
  if (base(a) !== base(b) || known?.channels !== a.channels || known.scaleFactor !== a.scaleFactor) return 'different';
  const own = await Promise.all([a, b].map(hasOwnCoder));
  return own.includes(true) ? 'different' : 'compatible';
}

function base({ family }: LatentSpace): string {
  return family.endsWith(tinySuffix) ? family.slice(0, -tinySuffix.length) : family;
}

/** Only tiny ones are hashed: a few megabytes, remembered by the cache of hashes. */
async function hasOwnCoder({ family, source }: LatentSpace): Promise<boolean> {
  return family.endsWith(tinySuffix) && ownCoders.has(await fileSha256(source.path));
}
