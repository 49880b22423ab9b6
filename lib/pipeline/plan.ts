import type { NativeTiling } from '../native/index.js';
import type { ResizeMode } from '../options/index.js';
import type { PreparedSet } from '../weights/index.js';
import type { ModelFacts } from './facts.js';
import type { HiresSize } from './hires/size.js';
import type { HiresUpscaler } from './hires/upscalers.js';
import type { Masking } from './inpaint/settings.js';
import { untiled } from './measure.js';
import type { Preview } from './preview.js';
import type { PassMode } from './request.js';
import type { Sampling } from './sampling.js';
import type { Variation } from './variation.js';

/** Which model a part of a pass comes from: the one the job belongs to, or that of the hires checkpoint. */
export type ModelRole = 'first' | 'second';

/** Models that a pass works with. */
export interface PassParts {
  readonly diffusionModel: ModelRole;
  readonly textEncoder: ModelRole;
  readonly vae: ModelRole;
}

/** How a result of the pass before becomes the start of this one. */
export interface Enlargement {
  readonly upscaler: HiresUpscaler;
  readonly size: HiresSize;
  /** Pixels of the results of the pass before. */
  readonly from: { readonly width: number; readonly height: number };
  /** Pixels of the pictures that are encoded on the way; null: latents are there and stay latents. */
  readonly encodes: { readonly width: number; readonly height: number } | null;
}

/**
 * One run of the sampler over the images of a batch. Plain, frozen data: the mode belongs to the pass and nothing that
 * compiles, loads, merges or samples can change it.
 */
export interface Pass {
  readonly mode: PassMode;
  readonly parts: PassParts;
  /** Null: noise and the pictures of the request. Otherwise the results of the pass before. */
  readonly start: Enlargement | null;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** Without LoRA tags. */
  readonly prompt: string;
  /** As captions have it, with a tag for every LoRA. */
  readonly taggedPrompt: string;
  readonly negativePrompt: string;
  /** -1: the architecture's. */
  readonly clipSkip: number;
  /** LoRAs in the weights; undefined: those of the diffusion model's own set. */
  readonly loras: PreparedSet | undefined;
  readonly sampling: Sampling;
  /** Seed of each image. */
  readonly seeds: readonly number[];
  /** Of img2img and inpaint; null for txt2img. */
  readonly denoisingStrength: number | null;
  /** Of inpaint. */
  readonly masking: Masking | null;
  /** How the start picture comes to its size. */
  readonly resizeMode: ResizeMode;
  /** One for each image; null: the noise is that of the seed alone. */
  readonly variation: Variation | null;
  /** Of decoding, and of previews that the VAE makes. */
  readonly tiling: NativeTiling;
  readonly encodeTiling: NativeTiling;
}

/** Everything that is decided about a request before any native work. */
export interface Plan {
  /** In order; each begins with the results of the one before. */
  readonly passes: readonly [Pass, ...Pass[]];
  /** Prompts that do not fit are errors. */
  readonly strictPrompt: boolean;
  readonly preview: Preview;
  /** Bytes that the graphs of a native operation may take; 0: any. */
  readonly memoryBudget: number;
}

export const ownParts: PassParts = Object.freeze({ diffusionModel: 'first', textEncoder: 'first', vae: 'first' });

type Defaulted = 'parts' | 'start' | 'taggedPrompt' | 'loras' | 'masking' | 'resizeMode' | 'variation';

type PassInput = Omit<Pass, Defaulted | 'tiling' | 'encodeTiling'> & Partial<Pick<Pass, Defaulted>>;

export function makePass(input: PassInput): Pass {
  return Object.freeze({
    parts: ownParts,
    start: null,
    taggedPrompt: input.prompt,
    loras: undefined,
    masking: null,
    resizeMode: 'stretch',
    variation: null,
    tiling: untiled,
    encodeTiling: untiled,
    ...input,
    sampling: Object.freeze(input.sampling),
    seeds: Object.freeze(input.seeds),
  });
}

export function makePlan({ passes, ...rest }: Omit<Plan, 'memoryBudget'>): Plan {
  return Object.freeze({ ...rest, passes: Object.freeze(passes), memoryBudget: 0 });
}

/** The same plan with what memory has decided. */
export function withMemory(
  plan: Plan,
  tilings: readonly { readonly decode: NativeTiling; readonly encode: NativeTiling }[],
  memoryBudget: number,
): Plan {
  const tiled = (pass: Pass, index: number): Pass => {
    const { decode = untiled, encode = untiled } = tilings[index] ?? {};
    return Object.freeze({ ...pass, tiling: decode, encodeTiling: encode });
  };
  const [first, ...others] = plan.passes;
  const passes = [tiled(first, 0), ...others.map((pass, index) => tiled(pass, index + 1))] as const;
  return Object.freeze({ ...plan, passes: Object.freeze(passes), memoryBudget });
}

/** True when somebody wants the pixels of a pass: those of the last, and of one whose pictures are enlarged. */
export function decodes({ passes }: Plan, index: number): boolean {
  return passes[index + 1]?.start?.upscaler.kind !== 'latent';
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
