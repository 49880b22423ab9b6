import type { ImageInput } from '../image/index.js';
import { emptySet, formatLoraTag, type LoraTag, parseLoraTags, type PreparedSet } from '../weights/index.js';
import type { CheckedLora } from '../weights/index.js';
import type { JobWarning, TilingChoice } from './admission.js';
import { type CheckedHires, type HiresPrompts, resolveHires } from './hires/resolve.js';
import type { ModelFacts } from './facts.js';
import { resolveMasking } from './inpaint/settings.js';
import { type GivenImages, type Inputs, readInputs } from './inputs.js';
import { type JobModels, modelOf } from './models.js';
import type { CheckedRequest, PipelineModel } from './modes.js';
import { makePass, makePlan, ownParts, type Pass, type PassParts, type Plan } from './plan.js';
import { inRole, openOther } from './otherModel.js';
import { resolvePreview } from './preview.js';
import { type DraftedRun, withRefiner } from './refiner/draft.js';
import type { CheckedRefiner } from './refiner/spec.js';
import type { PassResult } from './pass.js';
import type { PassMode } from './request.js';
import { resolveSampling, resolveTiling } from './sampling.js';
import { batchSeeds } from './seeds.js';
import { resolveVariation } from './variation.js';

/** A request as a plan, with what it works on. */
export interface Drafted {
  readonly plan: Plan;
  readonly models: JobModels;
  /** For each pass. */
  readonly inputs: readonly Inputs[];
  readonly tiling: TilingChoice;
  readonly warnings: readonly JobWarning[];
  /** Options of the second pass and of the first one's refiner, for captions. */
  readonly hires?: CheckedHires | undefined;
  readonly refiner?: CheckedRefiner | undefined;
  /** What the plan begins with in place of noise, of `model.hires`. */
  readonly starts?: readonly GivenStart[] | undefined;
}

export interface GivenStart {
  readonly result: PassResult;
  /** The request that made it; captions carry on from there. */
  readonly request: Readonly<Record<string, unknown>>;
}

/** Reads the pictures and LoRA files of a request and decides everything but what depends on memory. */
export async function draftRequest(
  model: PipelineModel,
  mode: PassMode,
  options: CheckedRequest,
  previews: boolean,
  signal: AbortSignal | undefined,
): Promise<Drafted> {
  const { facts } = model;
  const tagged = parseLoraTags(options.prompt);
  const [inputs, loras] = await Promise.all([
    readInputs(options, options, facts, signal),
    preparedSet(model, options.loras, tagged.tags, signal),
  ]);
  const first = firstPass(mode, { ...options, prompt: tagged.prompt }, inputs, facts, loras);
  const preview = resolvePreview(options.preview, previews, facts);
  const common = { preview, strictPrompt: options.strictPrompt } as const;
  const base = { tiling: resolveTiling(options.tiling), models: { first: model } };
  const { hires, refiner } = options;
  const whole = { passes: [first] as const, inputs: [inputs], models: base.models, warnings: [] };
  const run = await withRefiner(model, whole, refiner, 'refiner', signal);
  if (hires === undefined) return { ...base, ...run, plan: makePlan({ ...common, passes: run.passes }), refiner };
  const second = await draftHires(model, first, hires, options, signal, true, run.models);
  return {
    ...base,
    models: { ...run.models, ...second.models },
    plan: makePlan({ ...common, passes: [...run.passes, ...second.passes] }),
    inputs: [...run.inputs, ...second.inputs],
    warnings: [...run.warnings, ...second.warnings],
    ...{ hires, refiner },
  };
}

/**
 * The second pass, its checkpoint and its refiner found and checked.
 * @param latents false: some results of the first pass are pictures without a latent.
 * @param earlier models of the first pass.
 */
export async function draftHires(
  model: PipelineModel,
  first: Pass,
  hires: CheckedHires,
  options: CheckedRequest,
  signal: AbortSignal | undefined,
  latents = true,
  earlier: JobModels = { first: model },
): Promise<DraftedRun> {
  const opened = await openOther(model, hires, 'hires.', signal, earlier);
  const models: JobModels = { ...earlier, second: opened?.model };
  const parts = opened === undefined ? ownParts : inRole(opened, 'second');
  const factsOf = (role: PassParts[keyof PassParts]): ModelFacts => modelOf(role, models).facts;
  const facts = {
    diffusionModel: factsOf(parts.diffusionModel),
    textEncoder: factsOf(parts.textEncoder),
    vae: factsOf(parts.vae),
  };
  const sameModel = parts.diffusionModel === 'first';
  const texts = { first, hires, loras: options.loras, sameModel };
  const { prompts, warnings } = await hiresPrompts(model, texts, facts.diffusionModel, signal);
  const resolved = await resolveHires({
    ...{ hires, options, first, facts, parts, prompts, latents, signal },
    firstFacts: model.facts,
  });
  const { pass } = resolved;
  const inputs = await readInputs(laterImages(options, facts.diffusionModel), pass, facts.diffusionModel, signal);
  const chosen = pass.start?.upscaler;
  const upscaler = chosen?.kind === 'model' ? await model.openUpscaler(chosen, signal) : undefined;
  const run = {
    passes: [pass] as const,
    inputs: [inputs],
    models: { ...models, upscaler },
    warnings: [...warnings, ...resolved.warnings],
  };
  return withRefiner(model, run, hires.refiner, 'secondRefiner', signal);
}

/** Pictures that steer every pass; the start picture is that of the first only. */
function laterImages({ controlImage, refImages }: GivenImages, facts: ModelFacts): GivenImages {
  const control: { controlImage?: ImageInput } =
    controlImage !== undefined && (facts.hasControlNet || facts.isControl) ? { controlImage } : {};
  return { ...control, ...(refImages !== undefined && (facts.isDit || facts.isEdit) ? { refImages } : {}) };
}

interface HiresTexts {
  readonly first: Pass;
  readonly hires: CheckedHires;
  /** Of the request, tags not among them. */
  readonly loras: readonly CheckedLora[] | undefined;
  readonly sameModel: boolean;
}

/**
 * Without a prompt of its own the second pass has that of the first, with its LoRAs, which another kind of model cannot
 * use. A prompt of its own brings its own tags, and those of the first are not meant any more, as in A1111.
 */
async function hiresPrompts(
  model: PipelineModel,
  { first, hires, loras, sameModel }: HiresTexts,
  facts: ModelFacts,
  signal: AbortSignal | undefined,
): Promise<{ readonly prompts: HiresPrompts; readonly warnings: readonly JobWarning[] }> {
  const given = hires.prompt === undefined || hires.prompt.trim() === '' ? undefined : parseLoraTags(hires.prompt);
  const negative = hires.negativePrompt === undefined || hires.negativePrompt === '' ? undefined : hires.negativePrompt;
  const texts = {
    prompt: given?.prompt ?? first.prompt,
    taggedPrompt: given?.prompt ?? first.prompt,
    negativePrompt: negative ?? first.negativePrompt,
  };
  const listed = hires.loras ?? (given === undefined ? undefined : loras);
  const own = await preparedSet(model, listed, given?.tags ?? [], signal, 'hires.');
  const { baseSet } = model.weights;
  const inherited = own ?? (given === undefined ? first.loras : undefined) ?? baseSet;
  const asked = hires.loras !== undefined || (given?.tags.length ?? 0) > 0;
  if (asked || facts.architecture === model.facts.architecture) {
    // The set of the model can change while the job waits; another model has none of its own.
    const set = sameModel && inherited === baseSet ? undefined : inherited;
    return { prompts: { ...texts, loras: set }, warnings: [] };
  }
  if (inherited.loras.length === 0) return { prompts: { ...texts, loras: emptySet }, warnings: [] };
  const names = inherited.loras.map(({ lora }) => lora.name).join(', ');
  const message = `The LoRAs of the first pass (${names}) are for "${model.facts.architecture}"; the second pass is "${facts.architecture}" and goes without. Give it its own with hires.loras.`;
  return {
    prompts: { ...texts, loras: emptySet },
    warnings: [{ type: 'warning', code: 'loras', message }],
  };
}

/** The set that a request brings; undefined: the model's own holds. */
export async function preparedSet(
  { weights }: PipelineModel,
  loras: readonly CheckedLora[] | undefined,
  tags: readonly LoraTag[],
  signal: AbortSignal | undefined,
  within: '' | 'hires.' = '',
): Promise<PreparedSet | undefined> {
  if (loras === undefined && tags.length === 0) return undefined;
  if ((loras ?? []).length === 0 && tags.length === 0) return emptySet;
  return weights.prepare(loras ?? [], tags, signal, within);
}

export function firstPass(
  mode: PassMode,
  options: CheckedRequest,
  { width, height }: { readonly width: number; readonly height: number },
  facts: ModelFacts,
  loras?: PreparedSet,
): Pass {
  const { prompt, negativePrompt, clipSkip = -1, batchSize, denoisingStrength = 0.75 } = options;
  const sampling = withoutImage(resolveSampling(options, facts), options, facts);
  const variation = resolveVariation(options, batchSize);
  return makePass({
    ...{ mode, width, height, prompt, negativePrompt, clipSkip, loras, sampling, variation },
    // As in A1111: pictures of one seed differ by their variation seeds.
    seeds: variation === null ? batchSeeds(sampling.seed, batchSize) : variation.seeds.map(() => sampling.seed),
    masking: mode === 'inpaint' ? resolveMasking(options) : null,
    resizeMode: options.resizeMode ?? 'stretch',
    denoisingStrength: mode === 'txt2img' ? null : denoisingStrength,
  });
}

/** The plan with a tag for every LoRA in its prompts, so that a caption makes the picture again. */
export function labelled(plan: Plan, models: JobModels): Plan {
  const label = (pass: Pass): Pass => {
    const { baseSet } = modelOf(pass.parts.diffusionModel, models).weights;
    const tags = (pass.loras ?? baseSet).loras.map(({ lora }) => formatLoraTag(lora));
    return tags.length === 0
      ? pass
      : Object.freeze({ ...pass, taggedPrompt: `${pass.prompt.trimEnd()} ${tags.join(' ')}` });
  };
  const [first, ...others] = plan.passes;
  return Object.freeze({ ...plan, passes: Object.freeze([label(first), ...others.map(label)] as const) });
}

/** An edit model without a reference sees a black one; guidance towards that would be guidance towards nothing. */
function withoutImage(
  sampling: ReturnType<typeof resolveSampling>,
  options: GivenImages,
  facts: ModelFacts,
): typeof sampling {
  return facts.isEdit && (options.refImages ?? []).length === 0
    ? { ...sampling, imageCfgScale: sampling.cfgScale }
    : sampling;
}
