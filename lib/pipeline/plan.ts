import type { NativeTiling } from '../native/index.js';
import type { ResizeMode } from '../options/index.js';
import type { ModelFacts } from './facts.js';
import type { Masking } from './inpaint/settings.js';
import type { Preview } from './preview.js';
import type { PassMode } from './request.js';
import type { Sampling } from './sampling.js';
import { batchSeeds } from './seeds.js';
import type { Variation } from './variation.js';

/**
 * One run of the sampler over one image of the batch. Plain, frozen data: the mode belongs to the pass and nothing
 * that compiles, loads or samples can change it.
 */
export interface Pass {
  readonly mode: PassMode;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly sampling: Sampling;
  /** Of img2img and inpaint; null for txt2img. */
  readonly denoisingStrength: number | null;
  /** Of inpaint. */
  readonly masking?: Masking;
  /** How the start picture comes to its size. Default: `stretch`. */
  readonly resizeMode?: ResizeMode;
}

/** Everything that is decided about a request before any native work. */
export interface Plan {
  /** Without LoRA tags. */
  readonly prompt: string;
  /** As captions have it, with a tag for every LoRA. */
  readonly taggedPrompt: string;
  readonly negativePrompt: string;
  /** -1: the architecture's. */
  readonly clipSkip: number;
  /** Prompts that do not fit are errors. */
  readonly strictPrompt: boolean;
  /** In order; each begins with the latents of the one before. */
  readonly passes: readonly [Pass, ...Pass[]];
  /** One for each picture. */
  readonly seeds: readonly number[];
  readonly variation: Variation | null;
  /** Of decoding, and of previews that the VAE makes. */
  readonly tiling: NativeTiling;
  readonly encodeTiling: NativeTiling;
  readonly preview: Preview;
  /** Bytes that the graphs of a native operation may take; 0: any. */
  readonly memoryBudget: number;
}

export interface PlanInput {
  readonly mode: PassMode;
  readonly prompt: string;
  readonly taggedPrompt?: string;
  readonly negativePrompt: string;
  readonly clipSkip: number | undefined;
  readonly strictPrompt: boolean;
  readonly width: number;
  readonly height: number;
  readonly batchSize: number;
  readonly denoisingStrength: number | undefined;
  readonly masking?: Masking | undefined;
  readonly resizeMode?: ResizeMode | undefined;
  readonly variation?: Variation | null;
  readonly sampling: Sampling;
  readonly tiling: NativeTiling;
  readonly encodeTiling: NativeTiling;
  readonly preview: Preview;
  readonly memoryBudget: number;
}

export function makePlan(input: PlanInput): Plan {
  const {
    mode,
    prompt,
    negativePrompt,
    clipSkip = -1,
    strictPrompt,
    width,
    height,
    sampling,
    tiling,
    encodeTiling,
    preview,
    memoryBudget,
    masking,
    resizeMode = 'stretch',
    variation = null,
  } = input;
  const denoisingStrength = mode === 'txt2img' ? null : (input.denoisingStrength ?? 0.75);
  const pass: Pass = Object.freeze({
    ...{ mode, width, height, sampling: Object.freeze(sampling), denoisingStrength },
    ...(masking === undefined ? {} : { masking }),
    resizeMode,
  });
  // As in A1111: pictures of one seed differ by their variation seeds.
  const seeds =
    variation === null ? batchSeeds(sampling.seed, input.batchSize) : variation.seeds.map(() => sampling.seed);
  return Object.freeze({
    prompt,
    taggedPrompt: input.taggedPrompt ?? prompt,
    negativePrompt,
    clipSkip,
    strictPrompt,
    passes: Object.freeze([pass] as const),
    seeds: Object.freeze(seeds),
    variation,
    tiling,
    encodeTiling,
    preview,
    memoryBudget,
  });
}

/** True when a prediction without the prompt is needed. */
export function needsUncond({ cfgScale, imageCfgScale }: Sampling): boolean {
  return cfgScale !== 1 || imageCfgScale !== cfgScale;
}

/** Evaluations of the diffusion model per step. */
export function evaluations(sampling: Sampling): number {
  return 1 + (needsUncond(sampling) ? 1 : 0) + (sampling.imageCfgScale === sampling.cfgScale ? 0 : 1);
}

/** Size that a picture of free size is made in: rounded down to the multiple, at least one, at most 8192. */
export function fitSize(size: number, facts: Pick<ModelFacts, 'sizeMultiple'>): number {
  const multiple = facts.sizeMultiple;
  const most = Math.floor(8192 / multiple);
  return Math.min(most, Math.max(1, Math.floor(size / multiple))) * multiple;
}
