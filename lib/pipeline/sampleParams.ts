import type {
  NativeConditioning,
  NativeImage,
  NativeSampleParams,
  NativeTensor,
  NativeTiling,
} from '../native/index.js';
import type { PreparedLatents } from './latents.js';
import type { Preview } from './preview.js';
import type { Sampling } from './sampling.js';

export interface SampleInput {
  readonly cond: NativeConditioning;
  readonly uncond: NativeConditioning | null;
  readonly latents: PreparedLatents;
  readonly noise: NativeTensor | null;
  readonly seed: number;
  readonly sigmas: Float32Array;
  /** Default: 0, the whole run. */
  readonly stopAfter?: number;
  /** Default: null. */
  readonly predictions?: NativeTensor | null;
  readonly controlImage: NativeImage | null;
  readonly sampling: Sampling;
  readonly preview: Preview;
  readonly previewTiling: NativeTiling;
  readonly memoryBudget: number;
}

/** Parameters of the native `sample`. */
export function sampleParams(input: SampleInput): NativeSampleParams {
  const { cond, uncond, latents, noise, seed, sigmas, controlImage, sampling, preview, previewTiling, memoryBudget } =
    input;
  const { skipLayers, stepCache } = sampling;
  return {
    cond,
    uncond,
    latent: latents.latent,
    noise,
    seed,
    sigmas,
    stopAfter: input.stopAfter ?? 0,
    predictions: input.predictions ?? null,
    sampler: sampling.sampler,
    eta: sampling.eta,
    cfgScale: sampling.cfgScale,
    imageCfgScale: sampling.imageCfgScale === sampling.cfgScale ? NaN : sampling.imageCfgScale,
    guidance: sampling.guidance,
    slgLayers: Int32Array.from(skipLayers.layers),
    slgStart: skipLayers.start,
    slgEnd: skipLayers.end,
    slgScale: skipLayers.scale,
    flowShift: sampling.flowShift,
    shiftedTimestep: 0,
    mask: latents.mask,
    concat: latents.concat,
    uncondConcat: latents.uncondConcat,
    refLatents: latents.refLatents,
    increaseRefIndex: false,
    controlImage,
    controlStrength: sampling.controlStrength,
    cacheMode: stepCache.mode,
    cacheThreshold: stepCache.threshold,
    cacheStart: stepCache.start,
    cacheEnd: stepCache.end,
    preview: preview.mode,
    previewInterval: preview.every,
    previewTiling,
    memoryBudget,
  };
}
