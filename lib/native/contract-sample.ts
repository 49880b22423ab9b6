/** The part of the addon's contract (`contract.ts`) that is about sampling. */
import type { NativeConditioning, NativeImage, NativeTensor, NativeTiling } from './contract.js';

export type NativeCacheMode = 'none' | 'easycache' | 'ucache' | 'dbcache' | 'taylorseer' | 'cache-dit' | 'spectrum';

export interface NativeSampleParams {
  readonly cond: NativeConditioning;
  /** null: no classifier-free guidance (cfgScale 1). */
  readonly uncond: NativeConditioning | null;
  /** Start latent; zeros for txt2img. */
  readonly latent: NativeTensor;
  /**
   * Gaussian noise of the latent's shape; null: drawn from `seed` with the model's generator. The sampler's own noise is
   * the same either way.
   */
  readonly noise: NativeTensor | null;
  /** 0..2^53-1. Seeds the noise and the sampler's own noise. */
  readonly seed: number;
  /** Decreasing, ends in 0; length = steps + 1. */
  readonly sigmas: Float32Array;
  /**
   * Steps after which the run stops, fewer than it has, for another to go on with it: the result is what the model has
   * predicted in them, `[evaluations, channels, height / f, width / f]`. 0: the whole run; the result is its latent.
   */
  readonly stopAfter: number;
  /** What another model predicted in the first steps of this run, which is otherwise given alike; null: none. */
  readonly predictions: NativeTensor | null;
  /** Name of {@link NativeTables.samplers}; empty string: the model's default. */
  readonly sampler: string;
  /** NaN: the sampler's default. */
  readonly eta: number;
  readonly cfgScale: number;
  /** NaN: same as cfgScale. Only inpaint and edit models use it. */
  readonly imageCfgScale: number;
  /** Distilled guidance (FLUX); default 3.5. */
  readonly guidance: number;
  readonly slgLayers: Int32Array;
  readonly slgStart: number;
  readonly slgEnd: number;
  /** 0: skip-layer guidance off. */
  readonly slgScale: number;
  readonly flowShift: number;
  /** SDXL timestep shift (0: off). */
  readonly shiftedTimestep: number;
  /** [1, 1, height / f, width / f], 1 = repaint, 0 = keep; null: repaint everything. */
  readonly mask: NativeTensor | null;
  /** Concatenated channels of inpaint and edit models, conditional and unconditional. */
  readonly concat: NativeTensor | null;
  readonly uncondConcat: NativeTensor | null;
  readonly refLatents: readonly NativeTensor[];
  readonly increaseRefIndex: boolean;
  readonly controlImage: NativeImage | null;
  readonly controlStrength: number;
  readonly cacheMode: NativeCacheMode;
  /** NaN: the mode's default. */
  readonly cacheThreshold: number;
  readonly cacheStart: number;
  readonly cacheEnd: number;
  /** `none`, `proj`, `tae` or `vae`. */
  readonly preview: string;
  /** Preview every n steps; >= 1. */
  readonly previewInterval: number;
  /** Of previews that the VAE makes. */
  readonly previewTiling: NativeTiling;
  /** As in {@link NativeEncodePromptParams}. */
  readonly memoryBudget: number;
}
