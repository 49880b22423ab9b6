import type { NativeImage } from '../native/index.js';
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
    inputBytes: inputBytes([inputs.image, inputs.mask, inputs.controlImage, ...inputs.refImages]),
  };
}

/** Pictures lie in JavaScript's memory and, while they are used, in a copy that belongs to the native job. */
export function inputBytes(images: readonly (NativeImage | null)[]): number {
  return 2 * images.reduce((sum, image) => sum + (image?.data.length ?? 0), 0);
}
