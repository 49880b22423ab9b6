import { invalidOption } from '../../errors/index.js';
import { emptySet } from '../../weights/index.js';
import type { JobWarning } from '../admission.js';
import { hasImageGuidance, type ModelFacts } from '../facts.js';
import { relateSpaces } from '../hires/spaces.js';
import { type Inputs, noInputs } from '../inputs.js';
import { type JobModels, modelOf } from '../models.js';
import type { PipelineModel } from '../modes.js';
import { checkParts, inRole, openOther, type PartFacts, related } from '../otherModel.js';
import { makePass, type ModelRole, type Pass } from '../plan.js';
import { runSteps } from '../steps.js';
import { levelsOf } from './levels.js';
import type { CheckedRefiner } from './spec.js';
import { stepsBefore } from './switchPoint.js';

/** A run of the sampler before and after its refiner was put in. */
export interface DraftedRun {
  readonly passes: readonly [Pass, ...Pass[]];
  /** For each pass. */
  readonly inputs: readonly Inputs[];
  readonly models: JobModels;
  readonly warnings: readonly JobWarning[];
}

/**
 * Splits a run in two where its refiner takes over: one pass that stops there, and one of the refiner that goes on with
 * the same latents, noise, noise levels and settings, and with conditioning and weights of its own.
 * @param run one pass.
 * @param role of the refiner.
 * @throws DiffusionError of the checkpoint; `ERR_INVALID_OPTION` where its latents mean something else, and for a switch
 *   point that leaves one of the two without a step.
 */
export async function withRefiner(
  model: PipelineModel,
  run: DraftedRun,
  refiner: CheckedRefiner | undefined,
  role: Extract<ModelRole, 'refiner' | 'secondRefiner'>,
  signal: AbortSignal | undefined,
): Promise<DraftedRun> {
  if (refiner === undefined) return run;
  const [pass] = run.passes;
  const within = role === 'refiner' ? 'refiner.' : 'hires.refiner.';
  const steps = runSteps(pass);
  const runner = modelOf(pass.parts.diffusionModel, run.models);
  const levels =
    refiner.switchBy === 'timesteps'
      ? await levelsOf(pass, [runner, model], model, `${within}switchBy`, signal)
      : undefined;
  const from = stepsBefore(steps, refiner.switchAt, `${within}switchAt`, levels);
  const opened = await openOther(model, refiner, within, signal, run.models);
  if (opened === undefined) throw new Error('A refiner always has a checkpoint');
  const models: JobModels = { ...run.models, [role]: opened.model };
  const parts = inRole(opened, role);
  const facts: PartFacts = {
    diffusionModel: modelOf(parts.diffusionModel, models).facts,
    textEncoder: modelOf(parts.textEncoder, models).facts,
    vae: modelOf(parts.vae, models).facts,
  };
  const before = modelOf(pass.parts.diffusionModel, models);
  await requireSameLatents(before.facts, facts.diffusionModel, refiner.checkpoint, `${within}checkpoint`);
  await checkParts(refiner.modules, within, model.facts, facts, parts);
  const { loras, warnings } = lorasOf(pass, before, facts.diffusionModel);
  const { cfgScale, imageCfgScale } = pass.sampling;
  const second = makePass({
    ...pass,
    parts,
    loras,
    start: null,
    span: Object.freeze({ from, to: steps }),
    clipSkip: related(facts.diffusionModel, before.facts) ? pass.clipSkip : -1,
    sampling: {
      ...pass.sampling,
      imageCfgScale: hasImageGuidance(facts.diffusionModel) ? imageCfgScale : cfgScale,
    },
  });
  const first = Object.freeze({ ...pass, span: Object.freeze({ from: 0, to: from }) });
  const [inputs = noInputs] = run.inputs;
  return {
    passes: [first, second],
    inputs: [inputs, laterInputs(inputs, facts.diffusionModel)],
    models,
    warnings: [...run.warnings, ...warnings],
  };
}

/** The run has its start latent; a refiner reads what it reads beside that. */
function laterInputs(inputs: Inputs, facts: ModelFacts): Inputs {
  const { isInpaint, isControl, hasControlNet, isDit, isEdit } = facts;
  return {
    ...inputs,
    image: isInpaint ? inputs.image : null,
    controlImage: hasControlNet || isControl ? inputs.controlImage : null,
    refImages: isDit || isEdit ? inputs.refImages : [],
  };
}

/** A latent in the middle of a run goes over as it is: no picture can go between two models there. */
async function requireSameLatents(a: ModelFacts, b: ModelFacts, given: string, field: string): Promise<void> {
  const isFlow = ({ prediction }: ModelFacts): boolean => prediction.includes('flow');
  const hint = 'Use it as hires.checkpoint, where a picture goes between the two.';
  if ((await relateSpaces(a.space, b.space)) === 'different') {
    const [ours, theirs] = [a, b].map(({ architecture, space }) => `"${architecture}" (${space.family})`);
    const allowed = `a checkpoint whose latents mean what those of ${String(ours)} mean; this one is ${String(theirs)}`;
    throw invalidOption(field, given, allowed, hint);
  }
  if (isFlow(a) !== isFlow(b)) {
    const allowed = `a checkpoint that mixes in noise as "${a.prediction}" does; this one predicts "${b.prediction}"`;
    throw invalidOption(field, given, allowed, hint);
  }
}

/** The LoRAs of the run, which another kind of model cannot use. */
function lorasOf(
  pass: Pass,
  before: JobModels['first'],
  facts: ModelFacts,
): { readonly loras: Pass['loras']; readonly warnings: readonly JobWarning[] } {
  const set = pass.loras ?? before.weights.baseSet;
  if (facts.architecture === before.facts.architecture || set.loras.length === 0) return { loras: set, warnings: [] };
  const names = set.loras.map(({ lora }) => lora.name).join(', ');
  const message = `The LoRAs of the request (${names}) are for "${before.facts.architecture}"; the refiner is "${facts.architecture}" and goes without.`;
  return { loras: emptySet, warnings: [{ type: 'warning', code: 'loras', message }] };
}
