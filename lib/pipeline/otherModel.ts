import { DiffusionError, invalidOption } from '../errors/index.js';
import type { ModelFacts } from './facts.js';
import { relateSpaces } from './hires/spaces.js';
import { sharesTextEncoder } from './hires/textEncoders.js';
import type { JobModels } from './models.js';
import type { Lender, OpenedSecond, PipelineModel, SecondRequest } from './modes.js';
import type { ModelRole, PassParts } from './plan.js';

/** What a request says of a checkpoint beside its model. */
export interface OtherOptions {
  readonly checkpoint?: string;
  readonly modules?: SecondRequest['modules'];
}

/** Facts of the models whose parts a pass works with. */
export interface PartFacts {
  readonly diffusionModel: ModelFacts;
  readonly textEncoder: ModelFacts;
  readonly vae: ModelFacts;
}

/**
 * The model of a checkpoint that a request names beside its own; undefined: its own serves.
 * @param models those that the job has already.
 */
export async function openOther(
  model: PipelineModel,
  { checkpoint, modules }: OtherOptions,
  within: SecondRequest['within'],
  signal: AbortSignal | undefined,
  models: JobModels,
): Promise<OpenedSecond | undefined> {
  if (checkpoint === undefined && (modules === undefined || modules === 'same')) return undefined;
  if (model.openSecond === undefined) {
    const hint = 'Load the model with runtime.loadModel.';
    const message = `This model cannot open another checkpoint, ${within}checkpoint. ${hint}`;
    throw new DiffusionError('ERR_MODEL_UNSUPPORTED', message, { hint });
  }
  return model.openSecond({ checkpoint, modules: modules ?? 'built-in', within, others: lendersOf(models) }, signal);
}

const others = ['refiner', 'second'] as const satisfies readonly ModelRole[];

function lendersOf(models: JobModels): Lender[] {
  return others.flatMap((role) => {
    const sources = models[role]?.sources;
    return sources === undefined ? [] : [{ role, ...sources }];
  });
}

/** What a runtime opens calls itself `second`; a job can have several, and any of them may lend. */
export function inRole({ parts, lenders = {} }: OpenedSecond, role: ModelRole): PassParts {
  const named = (part: keyof PassParts): ModelRole =>
    parts[part] === 'second' ? role : part === 'diffusionModel' ? 'first' : (lenders[part] ?? 'first');
  return { diffusionModel: named('diffusionModel'), textEncoder: named('textEncoder'), vae: named('vae') };
}

/**
 * Parts of another model serve only where they speak the same language.
 * @param first the model that `'same'` means.
 * @throws DiffusionError `ERR_INVALID_OPTION` naming the modules.
 */
export async function checkParts(
  modules: SecondRequest['modules'] | undefined,
  within: SecondRequest['within'],
  first: ModelFacts,
  facts: PartFacts,
  parts: PassParts,
): Promise<void> {
  const { diffusionModel } = facts;
  const field = `${within}modules`;
  // 'same' may also be one model that was put together with the files of the first.
  const same = modules === 'same';
  const { textEncoder, vae } = same ? { textEncoder: first, vae: first } : facts;
  const names = `"${diffusionModel.architecture}"`;
  const hint = "Use modules: 'built-in', or name the files that go with the checkpoint.";
  if (
    (same || parts.textEncoder !== parts.diffusionModel) &&
    !sharesTextEncoder(textEncoder.architecture, diffusionModel.architecture)
  )
    throw invalidOption(field, modules, `text encoders that ${names} was trained with`, hint);
  if (
    (same || parts.vae !== parts.diffusionModel) &&
    (await relateSpaces(vae.space, diffusionModel.space)) === 'different'
  )
    throw invalidOption(field, modules, `a VAE of the latent space of ${names}`, hint);
}

/** UNets take one another's settings; a transformer only those of its own architecture. */
export function related(a: ModelFacts, b: ModelFacts): boolean {
  return a.architecture === b.architecture || (!a.isDit && !b.isDit);
}
