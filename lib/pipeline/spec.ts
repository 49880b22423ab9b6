import type { ImageInput } from '../image/index.js';
import { invalidOption } from '../errors/index.js';
import {
  arrayOf,
  boolean,
  checker,
  type Checker,
  func,
  integer,
  number,
  object,
  oneOf,
  optional,
  prompt,
  samplerName,
  scheduleName,
  sigmas,
  signal,
  size,
  stepCacheModes,
  union,
  withDefault,
} from '../options/index.js';
import { lorasSpec } from '../weights/index.js';
import type { JobWarning } from './admission.js';
import type { ModelEvent, PreviewEvent, ProgressEvent, QueueEvent } from './events.js';
import type { ModelFacts } from './facts.js';
import { hiresSpec } from './hires/spec.js';
import { maskSpec, resizeSpec } from './inpaint/settings.js';
import { refinerSpec } from './refiner/spec.js';
import { variationSpec } from './variation.js';

/** Any input that `readImage` takes; it checks the rest. */
export function imageInput(): Checker<ImageInput> {
  const allowed = 'an image: a path, encoded bytes, or { width, height, channels, data }';
  return checker(allowed, (value, field) => {
    if (value === undefined || value === null) throw invalidOption(field, value, allowed);
    return value as ImageInput;
  });
}

const share = (fallback: number) => number({ min: 0, max: 1, default: fallback });

export const tilingSpec = union(
  [
    oneOf(['auto'] as const),
    boolean(),
    object({
      tileSize: optional(
        union(
          [
            integer({ min: 4, max: 4096 }),
            object({ x: integer({ min: 4, max: 4096 }), y: integer({ min: 4, max: 4096 }) }),
          ],
          (value) => (typeof value === 'object' ? 1 : 0),
        ),
      ),
      overlap: number({ min: 0, max: 0.5, default: 0.5 }),
    }),
  ],
  (value) => (typeof value === 'string' ? 0 : typeof value === 'boolean' ? 1 : 2),
);

export const stepCacheSpec = object({
  mode: oneOf(stepCacheModes),
  threshold: optional(number({ min: 0, max: 100 })),
  start: share(0.15),
  end: share(0.95),
});

export const skipLayerSpec = object({
  layers: withDefault(arrayOf(integer({ min: 0, max: 1000 }), { max: 1000 }), [7, 8, 9]),
  start: share(0.01),
  end: share(0.2),
  scale: number({ min: -100, max: 100, default: 2.5 }),
});

export const previewSpec = object({
  mode: optional(oneOf(['projection', 'taesd', 'vae'] as const)),
  every: integer({ min: 1, max: 1000, default: 1 }),
});

/** Listeners and signal of every asynchronous call. */
export const jobSpec = {
  signal: optional(signal()),
  onProgress: optional(func<(event: ProgressEvent) => void>()),
  onQueue: optional(func<(event: QueueEvent) => void>()),
} as const;

/** What happens to prompts that do not fit; of every call that takes prompts. */
export const promptSpec = {
  strictPrompt: boolean({ default: false }),
  onWarning: optional(func<(warning: JobWarning) => void>()),
} as const;

/** What decides how a latent is sampled; shared by the picture modes and the low-level `sample`. */
export function samplingSpec({ defaults }: ModelFacts) {
  return {
    steps: integer({ min: 1, max: 1000, default: defaults.steps }),
    cfgScale: number({ min: 0, max: 100, default: defaults.cfgScale }),
    sampler: optional(samplerName()),
    schedule: optional(scheduleName()),
    seed: integer({ min: -1, default: -1 }),
    eta: optional(number({ min: 0, max: 1 })),
    imageCfgScale: optional(number({ min: 0, max: 100 })),
    guidance: number({ min: 0, max: 100, default: defaults.guidance }),
    flowShift: optional(number({ min: 1e-6, max: 1000 })),
    skipLayerGuidance: optional(skipLayerSpec),
    sigmas: optional(sigmas()),
    controlImage: optional(imageInput()),
    controlStrength: number({ min: 0, max: 2, default: 0.9 }),
    stepCache: optional(stepCacheSpec),
    preview: optional(previewSpec),
    onPreview: optional(func<(event: PreviewEvent) => void>()),
    ...jobSpec,
  } as const;
}

/** Of txt2img: the second pass as well. */
export function txt2imgSpec(facts: ModelFacts) {
  return { ...pictureSpec(facts), hires: optional(hiresSpec) } as const;
}

function pictureSpec(facts: ModelFacts) {
  const edge = () => optional(size({ multipleOf: facts.sizeMultiple }));
  return {
    prompt: prompt(),
    negativePrompt: prompt({ default: '' }),
    width: edge(),
    height: edge(),
    batchSize: integer({ min: 1, max: 1000, default: 1 }),
    clipSkip: optional(integer({ min: 1, max: 12 })),
    tiling: optional(tilingSpec),
    refImages: optional(arrayOf(imageInput(), { max: 16 })),
    loras: optional(lorasSpec),
    refiner: optional(refinerSpec),
    onModel: optional(func<(event: ModelEvent) => void>()),
    ...variationSpec,
    ...promptSpec,
    ...samplingSpec(facts),
  } as const;
}

export function img2imgSpec(facts: ModelFacts) {
  return { ...pictureSpec(facts), image: imageInput(), denoisingStrength: share(0.75), ...resizeSpec } as const;
}

export function inpaintSpec(facts: ModelFacts) {
  return { ...img2imgSpec(facts), mask: imageInput(), ...maskSpec } as const;
}
