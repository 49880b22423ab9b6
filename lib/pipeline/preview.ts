import { invalidOption } from '../errors/index.js';
import type { ModelFacts } from './facts.js';
import type { Pass } from './plan.js';

/** Preview settings by the engine's names. */
export interface Preview {
  readonly mode: 'none' | 'proj' | 'tae' | 'vae';
  readonly every: number;
}

/** Of a pass: a model without a VAE of its own has the projection. */
export function previewOf({ parts }: Pick<Pass, 'parts'>, preview: Preview): Preview {
  const byVae = preview.mode === 'vae' || preview.mode === 'tae';
  return byVae && parts.vae !== parts.diffusionModel ? { ...preview, mode: 'proj' } : preview;
}

interface GivenPreview {
  readonly mode?: 'projection' | 'taesd' | 'vae';
  readonly every: number;
}

/**
 * Previews cost time, so they are made only when somebody looks. Without a wish, a loaded tiny autoencoder is used,
 * for it shows true colours also where the projection does not know the latent space; else the projection.
 */
export function resolvePreview(given: GivenPreview | undefined, wanted: boolean, facts: ModelFacts): Preview {
  const every = given?.every ?? 1;
  if (!wanted) return { mode: 'none', every };
  const hasPreviewVae = facts.components.some(({ name }) => name === 'previewVae');
  const mode = given?.mode ?? (hasPreviewVae || facts.usesTaesd ? 'taesd' : 'projection');
  if (mode === 'projection') return { mode: 'proj', every };
  if (mode === 'vae') return { mode: 'vae', every };
  if (hasPreviewVae) return { mode: 'tae', every };
  // Where the tiny autoencoder is the VAE of the model, the engine knows it as that.
  if (facts.usesTaesd) return { mode: 'vae', every };
  throw invalidOption(
    'preview.mode',
    mode,
    'a model loaded with taesd',
    'Load the model with { taesd, taesdPreviewOnly: true }, or use "projection".',
  );
}
