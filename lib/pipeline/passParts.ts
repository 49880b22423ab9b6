import type { JobScope } from '../native/index.js';
import type { PassPart } from './admitPasses.js';
import type { Drafted } from './draft.js';
import type { PassGroup } from './groups.js';
import { enlargeStage } from './hires/enlargement.js';
import { noInputs } from './inputs.js';
import { emptyShape } from './measure.js';
import { modelsOf } from './models.js';
import { decodes } from './plan.js';
import { shapeOf, startBytes } from './shape.js';

/** What each model does in the passes of a group, one list for each: their memory, planned and taken, is measured by these. */
export async function groupParts(job: Drafted, group: PassGroup, scope: JobScope): Promise<PassPart[][]> {
  if (group.enlarges !== null) return [await enlargeParts(job, group.enlarges, scope)];
  const parts: PassPart[][] = [];
  for (const index of group.indices) parts.push(await passParts(job, group, index, scope));
  return parts;
}

/** What each model does in a pass. */
export async function passParts(
  { plan, models, inputs }: Drafted,
  group: PassGroup,
  index: number,
  scope: JobScope,
): Promise<PassPart[]> {
  const pass = plan.passes[index];
  if (pass === undefined) return [];
  const own = modelsOf(pass, models);
  const { diffusionModel, textEncoder, vae, upscaler } = own;
  const given = inputs[index] ?? noInputs;
  const isHere = upscaler !== undefined && group.weights.has(upscaler);
  const enlarge = isHere ? await enlargeStage(pass, own, scope) : null;
  const shape = { ...shapeOf(pass, plan, given, diffusionModel.facts, decodes(plan, index)), enlarge };
  const rest = { encode: [], decode: false };
  const alone = { ...emptyShape(pass), prompts: shape.prompts };
  const texts = textEncoder === diffusionModel ? undefined : { admitter: textEncoder, shape: alone };
  if (vae === diffusionModel) return [{ admitter: diffusionModel, shape, texts }];
  return [
    { admitter: diffusionModel, shape: { ...shape, ...rest }, texts },
    { admitter: vae, shape: { ...shape, prompts: [], preview: 'none', enlarge: null } },
  ];
}

/** The upscaler model alone, with the pictures around it. */
async function enlargeParts({ plan, models }: Drafted, index: number, scope: JobScope): Promise<PassPart[]> {
  const pass = plan.passes[index];
  if (pass === undefined) return [];
  const own = modelsOf(pass, models);
  const enlarge = await enlargeStage(pass, own, scope);
  const shape = { ...emptyShape(pass), inputBytes: startBytes(pass), enlarge };
  return [{ admitter: own.diffusionModel, shape, works: false }];
}
