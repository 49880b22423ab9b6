import type { PassPart } from './admitPasses.js';
import type { Drafted } from './draft.js';
import { noInputs } from './inputs.js';
import { modelsOf } from './models.js';
import { decodes } from './plan.js';
import { shapeOf } from './shape.js';

/** What each model does in a pass: its memory, planned and taken, is measured by these. */
export function passParts({ plan, models, inputs }: Drafted, index: number): PassPart[] {
  const pass = plan.passes[index];
  if (pass === undefined) return [];
  const { diffusionModel, vae } = modelsOf(pass, models);
  const given = inputs[index] ?? noInputs;
  const shape = shapeOf(pass, plan, given, diffusionModel.facts, decodes(plan, index));
  if (vae === diffusionModel) return [{ admitter: diffusionModel, shape }];
  return [
    { admitter: diffusionModel, shape: { ...shape, encode: [], decode: false } },
    { admitter: vae, shape: { ...shape, prompts: [], preview: 'none' } },
  ];
}
