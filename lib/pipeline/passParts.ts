import type { JobScope } from '../native/index.js';
import type { PassPart } from './admitPasses.js';
import type { Drafted } from './draft.js';
import { enlargeStage } from './hires/enlargement.js';
import { noInputs } from './inputs.js';
import { modelsOf } from './models.js';
import { decodes } from './plan.js';
import { shapeOf } from './shape.js';

/** What each model does in a pass: its memory, planned and taken, is measured by these. */
export async function passParts(
  { plan, models, inputs }: Drafted,
  index: number,
  scope: JobScope,
): Promise<PassPart[]> {
  const pass = plan.passes[index];
  if (pass === undefined) return [];
  const own = modelsOf(pass, models);
  const { diffusionModel, vae } = own;
  const given = inputs[index] ?? noInputs;
  const enlarge = await enlargeStage(pass, own, scope);
  const shape = { ...shapeOf(pass, plan, given, diffusionModel.facts, decodes(plan, index)), enlarge };
  if (vae === diffusionModel) return [{ admitter: diffusionModel, shape }];
  return [
    { admitter: diffusionModel, shape: { ...shape, encode: [], decode: false } },
    { admitter: vae, shape: { ...shape, prompts: [], preview: 'none', enlarge: null } },
  ];
}
