import { DiffusionError, invalidOption } from '../../errors/index.js';
import { checkUpscalerFile } from '../../model/index.js';
import type { PreparedSet } from '../../weights/index.js';
import type { HiresWarning } from '../events.js';
import type { ModelFacts } from '../facts.js';
import { checkParts, type PartFacts, related } from '../otherModel.js';
import { type Enlargement, makePass, type Pass, type PassParts } from '../plan.js';
import { resolveSampling, type CheckedSampling } from '../sampling.js';
import { batchSeeds } from '../seeds.js';
import { hiresSize } from './size.js';
import { relateSpaces } from './spaces.js';
import type { hiresSpec } from './spec.js';
import { type HiresUpscaler, resolveUpscaler } from './upscalers.js';

export type CheckedHires = ReturnType<typeof hiresSpec.check>;

/** Prompts and LoRAs of the second pass, tags taken out and files found. */
export interface HiresPrompts {
  readonly prompt: string;
  readonly taggedPrompt: string;
  readonly negativePrompt: string;
  readonly loras: PreparedSet | undefined;
}

export interface HiresInput {
  readonly hires: CheckedHires;
  /** As given for the first pass. */
  readonly options: CheckedSampling & { readonly clipSkip?: number | undefined };
  readonly first: Pass;
  readonly firstFacts: ModelFacts;
  readonly facts: PartFacts;
  readonly parts: PassParts;
  readonly prompts: HiresPrompts;
  /** False: some results of the first pass are pictures without a latent. */
  readonly latents: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ResolvedHires {
  readonly pass: Pass;
  readonly warnings: readonly HiresWarning[];
}

/**
 * The second pass of a request: img2img over the results of the first, with everything that is not given taken from
 * there. A model of another kind has its own sampler, guidance and CFG scale unless they are given.
 * @throws DiffusionError `ERR_INVALID_OPTION`, `ERR_MODEL_UNSUPPORTED`.
 */
export async function resolveHires(input: HiresInput): Promise<ResolvedHires> {
  const { hires, first, facts, parts, prompts } = input;
  await checkParts(hires.modules, 'hires.', input.firstFacts, facts, parts);
  const { upscaler, warnings } = await chooseUpscaler(input);
  const { sizeMultiple } = facts.diffusionModel;
  const size = hiresSize(first, hires, { sizeMultiple, scaleFactor: facts.vae.scaleFactor });
  const { width, height } = upscaler.kind === 'latent' ? first : size;
  const encodes = upscaler.kind === 'latent' && input.latents ? null : Object.freeze({ width, height });
  const from = Object.freeze({ width: first.width, height: first.height });
  const start: Enlargement = Object.freeze({ upscaler, size, from, encodes });
  const pass = makePass({
    mode: 'img2img',
    parts,
    start,
    width: size.width,
    height: size.height,
    ...prompts,
    clipSkip: hires.clipSkip ?? (related(facts.diffusionModel, input.firstFacts) ? first.clipSkip : -1),
    sampling: hiresSampling(input),
    // As in A1111, the noise of this pass varies as that of the first.
    variation: first.variation,
    seeds: hires.seed === undefined ? first.seeds : batchSeeds(hires.seed, first.seeds.length),
    denoisingStrength: hires.denoisingStrength,
  });
  return { pass, warnings };
}

function hiresSampling(input: HiresInput): Pass['sampling'] {
  const { hires, options, first, firstFacts, facts } = input;
  const { diffusionModel } = facts;
  const { defaults } = diffusionModel;
  const kin = related(diffusionModel, firstFacts);
  const same = diffusionModel.architecture === firstFacts.architecture;
  const {
    sigmas: _own,
    sampler,
    schedule,
    eta,
    skipLayerGuidance,
    stepCache,
    flowShift,
    imageCfgScale,
    ...rest
  } = options;
  const chosen = hires.sampler ?? (kin ? sampler : undefined);
  const plan = hires.schedule ?? (kin && hires.sampler === undefined ? schedule : undefined);
  const cfgScale = hires.cfgScale ?? (kin ? options.cfgScale : defaults.cfgScale);
  return resolveSampling(
    {
      ...rest,
      seed: first.sampling.seed,
      steps: hires.steps === undefined || hires.steps === 0 ? first.sampling.steps : hires.steps,
      cfgScale,
      guidance: hires.guidance ?? (same ? options.guidance : defaults.guidance),
      ...(chosen === undefined ? {} : { sampler: chosen }),
      ...(plan === undefined ? {} : { schedule: plan }),
      ...(kin && eta !== undefined ? { eta } : {}),
      ...(same && skipLayerGuidance !== undefined ? { skipLayerGuidance } : {}),
      ...(same && stepCache !== undefined ? { stepCache } : {}),
      ...(same && flowShift !== undefined ? { flowShift } : {}),
      ...(same && imageCfgScale !== undefined ? { imageCfgScale } : {}),
    },
    diffusionModel,
  );
}

const [defaultLatent, defaultPixels] = [resolveUpscaler('latent'), resolveUpscaler('lanczos')];

async function chooseUpscaler(
  input: HiresInput,
): Promise<{ readonly upscaler: HiresUpscaler; readonly warnings: HiresWarning[] }> {
  const { hires, first, firstFacts, facts } = input;
  const given = hires.upscaler;
  if (given !== undefined && given.kind !== 'latent') {
    requireEncoder(facts.vae);
    if (given.kind === 'model') await checkUpscalerFile(given.file, 'hires.upscaler', input.signal);
    return { upscaler: given, warnings: [] };
  }
  const shared =
    first.parts.vae === input.parts.vae || (await relateSpaces(firstFacts.space, facts.vae.space)) !== 'different';
  if (shared) {
    if (!input.latents) requireEncoder(facts.vae);
    return { upscaler: given ?? defaultLatent, warnings: [] };
  }
  requireEncoder(facts.vae);
  if (given === undefined) return { upscaler: defaultPixels, warnings: [] };
  const spaces = `${firstFacts.space.family} and ${facts.vae.space.family}`;
  const what = `the passes have latents of different spaces (${spaces})`;
  if (hires.strict) {
    const hint = `Use "${defaultPixels.label}", or leave it out.`;
    throw invalidOption('hires.upscaler', given.label, `an upscaler of pixels, since ${what}`, hint);
  }
  const message = `"${given.label}" enlarges latents, but ${what}: "${defaultPixels.label}" is used, on pixels.`;
  return { upscaler: defaultPixels, warnings: [{ type: 'warning', code: 'upscaler', message }] };
}

function requireEncoder(vae: ModelFacts): void {
  if (vae.canEncodeImages) return;
  const hint = 'Load the model without vaeDecodeOnly, or enlarge latents of its own.';
  throw new DiffusionError(
    'ERR_MODEL_UNSUPPORTED',
    `The hires pass begins with pixels, which the VAE of "${vae.name}" cannot encode. ${hint}`,
    { field: 'hires.upscaler', hint },
  );
}
