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

/**
 * Which model a part of a pass comes from: the one the job belongs to, that of the hires checkpoint, or the refiner of
 * one of the two.
 */
export type ModelRole = 'first' | 'refiner' | 'second' | 'secondRefiner';

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

/** Steps of a run of the sampler that a pass does: where a refiner takes over, two passes share it. */
export interface Span {
  /** Steps that the pass before has done; 0: this one begins the run. */
  readonly from: number;
  /** The step it stops after, for the next pass to go on, or the last of the run. */
  readonly to: number;
}

/**
 * One run of the sampler, or a refiner's part of it, over the images of a batch. Plain, frozen data: the mode belongs to the pass and nothing that
 * compiles, loads, merges or samples can change it.
 */
export interface Pass {
  readonly mode: PassMode;
  readonly parts: PassParts;
  /** Null: noise and the pictures of the request. Otherwise the results of the pass before. */
  readonly start: Enlargement | null;
  /** Null: the whole run. From a later step than 0: it goes on with the runs of the pass before, whatever they are. */
  readonly span: Span | null;
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

type Defaulted = 'parts' | 'start' | 'span' | 'taggedPrompt' | 'loras' | 'masking' | 'resizeMode' | 'variation';

type PassInput = Omit<Pass, Defaulted | 'tiling' | 'encodeTiling'> & Partial<Pick<Pass, Defaulted>>;

export function makePass(input: PassInput): Pass {
  return Object.freeze({
    parts: ownParts,
    start: null,
    span: null,
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
  const next = passes[index + 1];
  return next === undefined || (!goesOn(next) && next.start?.upscaler.kind !== 'latent');
}

/** True for a pass that takes over from the one before, in the middle of its run. */
export function goesOn({ span }: Pick<Pass, 'span'>): boolean {
  return span !== null && span.from > 0;
}

/** True for a pass that stops in the middle of its run. */
export function stopsEarly({ span }: Pick<Pass, 'span'>): boolean {
  return span?.from === 0;
}

/** The passes of each run of the sampler: one, or two where a refiner takes over. */
export function runsOf({ passes }: Plan): readonly (readonly [Pass, ...Pass[]])[] {
  const runs: [Pass, ...Pass[]][] = [];
  for (const pass of passes) {
    const run = runs.at(-1);
    if (run !== undefined && goesOn(pass)) run.push(pass);
    else runs.push([pass]);
  }
  return runs;
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
