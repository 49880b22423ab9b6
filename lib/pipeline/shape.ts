import type { NativeImage, NativeSize } from '../native/index.js';
import type { ModelFacts } from './facts.js';
import type { Inputs } from './inputs.js';
import { planEncoding } from './latents.js';
import { emptyShape, type JobShape } from './measure.js';
import { needsUncond, type Plan } from './plan.js';
import { negativeParams, positiveParams } from './prompts.js';

/** What a plan with its pictures will take memory for. */
export function shapeOf(plan: Plan, inputs: Inputs, facts: ModelFacts): JobShape {
  const [pass] = plan.passes;
  const { width, height, sampling } = pass;
  const parts = { ...plan, width, height, refImages: inputs.refImages };
  const { items, refs } = planEncoding(pass, inputs, facts);
  const encode = items.map(({ image }) => ({ width: image.width, height: image.height }));
  return {
    ...emptyShape(pass),
    prompts: [positiveParams(parts), ...(needsUncond(sampling) ? [negativeParams(parts, facts)] : [])],
    imageGuidance: sampling.imageCfgScale !== sampling.cfgScale,
    control: facts.hasControlNet && inputs.controlImage !== null,
    references: facts.isDit ? refs.map((index) => encode[index] ?? { width, height }) : [],
    preview: plan.preview.mode,
    encode,
    decode: true,
    pictures: plan.seeds.length,
    inputBytes:
      inputBytes([inputs.image, inputs.mask, inputs.controlImage, ...inputs.refImages]) +
      overlayBytes(inputs.overlay, pass, plan.seeds.length),
  };
}

/**
 * The original and its mask, one copy each, and results that have the original's size rather than the one they are
 * painted in.
 */
function overlayBytes(overlay: Inputs['overlay'], painted: NativeSize, pictures: number): number {
  if (overlay === null || overlay === undefined) return 0;
  const { image, mask } = overlay;
  const more = image.width * image.height - painted.width * painted.height;
  return image.data.length + mask.data.length + 3 * pictures * Math.max(0, more);
}

/** Pictures lie in JavaScript's memory and, while they are used, in a copy that belongs to the native job. */
export function inputBytes(images: readonly (NativeImage | null)[]): number {
  return 2 * images.reduce((sum, image) => sum + (image?.data.length ?? 0), 0);
}
