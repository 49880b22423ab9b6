import { DiffusionError } from '../../errors/index.js';
import type { JobScope, NativeImage, NativeTensor } from '../../native/index.js';
import type { PassJob, PassResult } from '../pass.js';
import type { Enlargement } from '../plan.js';
import type { ProgressTracker } from '../progress.js';
import { upscaleLatent } from './upscaleLatent.js';
import { upscaleByModel, upscalePixels } from './upscalePixels.js';

/**
 * The start latent of a pass from a result of the one before: the latent enlarged, or its picture enlarged and encoded
 * by the VAE of this pass. Never anything else: without a result the job fails.
 */
export async function startOf(
  scope: JobScope,
  tracker: ProgressTracker,
  job: PassJob,
  start: Enlargement,
  before: PassResult | undefined,
  seed: number,
): Promise<NativeTensor> {
  const { pass, memoryBudget } = job;
  const { vae } = job.models;
  const { upscaler, size } = start;
  const picture = before?.picture ?? null;
  const encode = async (image: NativeImage): Promise<NativeTensor> => {
    const params = { images: [{ image, mask: null }], seed, tiling: pass.encodeTiling, memoryBudget };
    const [latent] = await tracker.stageOf('encode', (onEvent) =>
      scope.run(() => vae.native.encodeImages(params, onEvent)),
    );
    if (latent === undefined) throw missing('encoded picture');
    return latent;
  };
  if (upscaler.kind === 'latent') {
    if (before?.latent !== null) tracker.skip('encode');
    // A picture that was saved has no latent any more.
    const latent = before?.latent ?? (picture === null ? null : await encode(picture));
    if (latent === null) throw missing('latent');
    return upscaleLatent(latent, size, upscaler.mode, vae.facts.scaleFactor);
  }
  return encode(before?.enlarged ?? (await enlarge(scope, tracker, job, start, picture)));
}

/** Enlarges all results before the models of the pass are there, which then only encode them. */
export async function enlargeAll(
  scope: JobScope,
  tracker: ProgressTracker,
  job: PassJob,
  results: readonly PassResult[],
): Promise<PassResult[]> {
  const { start } = job.pass;
  if (start === null) throw missing('size');
  const enlarged: PassResult[] = [];
  for (const result of results)
    enlarged.push({ ...result, enlarged: await enlarge(scope, tracker, job, start, result.picture) });
  return enlarged;
}

async function enlarge(
  scope: JobScope,
  tracker: ProgressTracker,
  { models: { upscaler: model }, memoryBudget }: PassJob,
  { upscaler, size }: Enlargement,
  picture: NativeImage | null,
): Promise<NativeImage> {
  if (picture === null) throw missing('picture');
  const image = await tracker.stage((onEvent) => {
    if (upscaler.kind === 'pixel') return upscalePixels(picture, size, upscaler.filter, scope.signal);
    if (upscaler.kind === 'latent' || model === undefined) throw missing('upscaler model');
    const { tileSize } = upscaler;
    const once = (small: NativeImage) => model.enlarge({ image: small, tileSize, memoryBudget }, scope, onEvent);
    return upscaleByModel(picture, size, once, scope.signal);
  });
  scope.check();
  return image;
}

function missing(what: string): DiffusionError {
  return new DiffusionError('ERR_ENGINE', `The pass before left no ${what} to begin with.`);
}
