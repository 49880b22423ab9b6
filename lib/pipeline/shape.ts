import type { NativeImage } from '../native/index.js';
import type { ModelFacts } from './facts.js';
import type { Inputs } from './inputs.js';
import { planEncoding } from './latents.js';
import { emptyShape, type JobShape } from './measure.js';
import { needsUncond, type Pass, type Plan } from './plan.js';
import { previewOf } from './preview.js';
import { negativeParams, positiveParams } from './prompts.js';

/** What a pass with its pictures will take memory for. */
export function shapeOf(pass: Pass, { preview }: Plan, inputs: Inputs, facts: ModelFacts, decode: boolean): JobShape {
  const { width, height, sampling, start } = pass;
  const parts = { ...pass, refImages: inputs.refImages };
  const { items, refs } = planEncoding(pass, inputs, facts);
  const encode = items.map(({ image }) => ({ width: image.width, height: image.height }));
  const between = start?.encodes ?? null;
  const given = inputBytes([inputs.image, inputs.mask, inputs.controlImage, ...inputs.refImages]);
  return {
    ...emptyShape(pass),
    prompts: [positiveParams(parts), ...(needsUncond(sampling) ? [negativeParams(parts, facts)] : [])],
    sample: true,
    imageGuidance: sampling.imageCfgScale !== sampling.cfgScale,
    control: facts.hasControlNet && inputs.controlImage !== null,
    controlStrength: sampling.controlStrength,
    references: facts.isDit ? refs.map((index) => encode[index] ?? { width, height }) : [],
    preview: previewOf(pass, preview).mode,
    encode: between === null ? encode : [...encode, between],
    decode,
    pictures: decode ? pass.seeds.length : 0,
    inputBytes: given + startBytes(pass) + runBytes(pass, facts) + overlayBytes(inputs.overlay, pass),
  };
}

/**
 * Runs that a refiner takes over lie in JavaScript's memory, of each image the start latent and at most two predictions
 * for a step; the one that is worked on is also in the native job, as it came and as the sampler reads it.
 */
function runBytes({ span, width, height, seeds }: Pass, facts: ModelFacts): number {
  if (span === null) return 0;
  const { scaleFactor: f, latentChannels } = facts;
  const latent = (4 * latentChannels * width * height) / (f * f);
  const done = span.from === 0 ? span.to : span.from;
  return latent * (1 + 2 * done) * (seeds.length + 2);
}

/** Results of the pass before, at most as large as those of this one, and the picture that is made of one of them. */
export function startBytes({ start, width, height, seeds }: Pass): number {
  if (start === null) return 0;
  const pixels = width * height;
  const latents = (seeds.length * pixels) / 4;
  return start.upscaler.kind === 'latent' ? latents : latents + 3 * pixels * (seeds.length + 2);
}

/**
 * The original and its mask, one copy each, and results that have the original's size rather than the one they are
 * painted in.
 */
function overlayBytes(overlay: Inputs['overlay'], painted: Pass): number {
  if (overlay === null || overlay === undefined) return 0;
  const { image, mask } = overlay;
  const more = image.width * image.height - painted.width * painted.height;
  return image.data.length + mask.data.length + 3 * painted.seeds.length * Math.max(0, more);
}

/** Pictures lie in JavaScript's memory and, while they are used, in a copy that belongs to the native job. */
export function inputBytes(images: readonly (NativeImage | null)[]): number {
  return 2 * images.reduce((sum, image) => sum + (image?.data.length ?? 0), 0);
}
