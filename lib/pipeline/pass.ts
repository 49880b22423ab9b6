import { DiffusionError } from '../errors/index.js';
import type { JobScope, NativeImage, NativeTensor } from '../native/index.js';
import { compiledFor } from './compile.js';
import type { Lease } from './conditioningCache.js';
import { startOf } from './hires/start.js';
import { withMaskedContent } from './inpaint/content.js';
import { pasteBack } from './inpaint/overlay.js';
import type { Inputs } from './inputs.js';
import { type EncodePlan, prepareLatents, type PreparedLatents } from './latents.js';
import type { GenerateListeners } from './generate.js';
import { distinct, type PassModels, servedBy } from './models.js';
import { goesOn, needsUncond, type Pass, stopsEarly } from './plan.js';
import type { Preview } from './preview.js';
import type { ProgressTracker } from './progress.js';
import { acquireConditioning, type ModelContext, negativeParams, positiveParams } from './prompts.js';
import { sampleParams } from './sampleParams.js';
import { passSigmas } from './steps.js';
import { startNoise } from './variation.js';

/** What a pass hands to the next for one image. */
export interface PassResult {
  /** In the space of the pass's VAE; null: only the picture is known. */
  readonly latent: NativeTensor | null;
  /** Where it was decoded. */
  readonly picture: NativeImage | null;
  /** The picture as the next pass begins with it, where it was enlarged before the models of that pass came. */
  readonly enlarged?: NativeImage;
  /** Of a run that stopped, for the next pass to go on with; there is no latent then. */
  readonly unfinished?: UnfinishedRun;
}

/** What the sampler of a run was given and what the model predicted in the steps that are done. */
export interface UnfinishedRun {
  /** Latent that the run started from. */
  readonly start: NativeTensor;
  readonly sigmas: Float32Array;
  /** `[evaluations, channels, height / f, width / f]`. */
  readonly predictions: NativeTensor;
}

/** A pass with everything that carrying it out needs. */
export interface PassJob {
  readonly pass: Pass;
  readonly models: PassModels;
  readonly inputs: Inputs;
  readonly encoding: EncodePlan;
  readonly preview: Preview;
  readonly memoryBudget: number;
  /** Decodes the results; null: nobody wants their pixels. */
  readonly decoder: ModelContext | null;
  readonly listeners: GenerateListeners;
}

/**
 * One pass over the batch, its models being loaded: LoRAs, pictures to latents, prompts to conditioning, then one image after the
 * other. A pass that begins with results makes each start latent of them, and a refiner goes on with the runs of the pass
 * before; neither is ever made without, whatever loading and compiling have done in between.
 * @param before runs when nothing is computed yet.
 */
export async function runPass(
  scope: JobScope,
  tracker: ProgressTracker,
  job: PassJob,
  starts: readonly PassResult[],
  leases: Lease[],
  before: (() => Promise<void>) | undefined,
  onPicture: (picture: NativeImage, index: number) => void,
): Promise<PassResult[]> {
  const { pass, models, decoder, memoryBudget } = job;
  await before?.();
  await bringLoras(scope, tracker, job);
  const encoded = await encodeInputs(scope, tracker, job);
  const prepared = prepareLatents(pass, job.inputs, models.diffusionModel.facts, job.encoding, encoded);
  const mine = await encodePrompts(scope, tracker, job, leases);
  // A refiner has the noise levels of the run that it goes on with.
  const sigmas = goesOn(pass) ? undefined : await noiseLevels(scope, job);
  const results: PassResult[] = [];
  for (const [index, seed] of pass.seeds.entries()) {
    const run =
      sigmas === undefined
        ? unfinishedOf(starts[index])
        : { sigmas, start: await startLatent(scope, tracker, job, prepared, starts[index], seed), predictions: null };
    const latents = { ...prepared, latent: run.start };
    // A hires pass of strength 0 is the enlarged picture.
    const latent =
      run.sigmas.length > 1 ? await sampleImage(scope, tracker, job, latents, mine, run, index) : latents.latent;
    if (stopsEarly(pass)) {
      results.push({ latent: null, picture: null, unfinished: { ...run, predictions: latent } });
      continue;
    }
    let picture: NativeImage | null = null;
    if (decoder !== null) {
      const params = { latent, tiling: pass.tiling, memoryBudget };
      const decoded = await tracker.stage((onEvent) => scope.run(() => decoder.native.decodeLatent(params, onEvent)));
      scope.check();
      picture = await pasteBack(decoded, job.inputs.overlay, scope.signal);
      onPicture(picture, index);
    }
    results.push({ latent, picture });
  }
  return results;
}

/** What the run of one image starts from. */
async function startLatent(
  scope: JobScope,
  tracker: ProgressTracker,
  job: PassJob,
  prepared: PreparedLatents,
  before: PassResult | undefined,
  seed: number,
): Promise<NativeTensor> {
  const { pass, models } = job;
  const latent = pass.start === null ? prepared.latent : await startOf(scope, tracker, job, pass.start, before, seed);
  const { native } = models.diffusionModel;
  return (await withMaskedContent(native, scope, pass.masking, { ...prepared, latent }, seed)).latent;
}

function unfinishedOf(before: PassResult | undefined): UnfinishedRun {
  if (before?.unfinished !== undefined) return before.unfinished;
  throw new DiffusionError('ERR_ENGINE', 'The pass before left no run to go on with.');
}

async function bringLoras(scope: JobScope, tracker: ProgressTracker, { pass, models }: PassJob): Promise<void> {
  const stale = (): ModelContext | undefined =>
    [...distinct(models)].find((model) => !model.weights.isCurrent(pass.loras, servedBy(model, models)));
  // One model's weights can leave while those of another are changed.
  for (let model = stale(); model !== undefined; model = stale()) {
    const [{ weights }, parts] = [model, servedBy(model, models)];
    await tracker.stageOf('lora', (onEvent) => weights.apply(pass.loras, scope, onEvent, parts));
  }
  tracker.skip('lora');
}

async function encodeInputs(scope: JobScope, tracker: ProgressTracker, job: PassJob): Promise<NativeTensor[]> {
  const { pass, models, encoding, memoryBudget } = job;
  const { items } = encoding;
  if (items.length === 0) return [];
  const params = { images: items, seed: pass.sampling.seed, tiling: pass.encodeTiling, memoryBudget };
  return tracker.stage((onEvent) => scope.run(() => models.vae.native.encodeImages(params, onEvent)));
}

/** Positive first, then negative where guidance needs it. */
async function encodePrompts(
  scope: JobScope,
  tracker: ProgressTracker,
  job: PassJob,
  leases: Lease[],
): Promise<Lease[]> {
  const { pass, models, inputs, memoryBudget } = job;
  const context = models.textEncoder;
  const parts = { ...pass, refImages: inputs.refImages };
  const wanted = [positiveParams(parts)];
  if (needsUncond(pass.sampling)) wanted.push(negativeParams(parts, context.facts));
  const mine: Lease[] = [];
  for (const params of wanted) {
    // Weights that left while pictures were encoded come back without LoRAs.
    await bringLoras(scope, tracker, job);
    const lease = await tracker.stage((onEvent) => acquireConditioning(context, scope, params, onEvent, memoryBudget));
    leases.push(lease);
    mine.push(lease);
    scope.check();
  }
  return mine;
}

async function noiseLevels(scope: JobScope, { pass, models }: PassJob): Promise<Float32Array> {
  const { native } = models.diffusionModel;
  const { sampler, schedule, flowShift } = pass.sampling;
  const { width, height } = pass;
  return passSigmas(pass, (steps) =>
    scope.run(() => native.sigmas({ steps, schedule, sampler, width, height, flowShift })),
  );
}

async function sampleImage(
  scope: JobScope,
  tracker: ProgressTracker,
  job: PassJob,
  latents: PreparedLatents,
  [cond, uncond]: readonly Lease[],
  { sigmas, predictions }: Pick<UnfinishedRun, 'sigmas'> & { readonly predictions: NativeTensor | null },
  index: number,
): Promise<NativeTensor> {
  if (cond === undefined) throw new Error('The prompt was not encoded');
  const { pass, models, inputs, preview, memoryBudget, listeners } = job;
  const context = models.diffusionModel;
  const seed = pass.seeds[index] ?? pass.sampling.seed;
  const params = sampleParams({
    cond: cond.handle,
    uncond: uncond?.handle ?? null,
    latents,
    noise: await startNoise(context.native, scope, pass.variation, index, seed, latents.latent),
    seed,
    sigmas,
    stopAfter: stopsEarly(pass) ? (pass.span?.to ?? 0) : 0,
    predictions,
    controlImage: context.facts.hasControlNet ? inputs.controlImage : null,
    sampling: pass.sampling,
    preview,
    previewTiling: pass.tiling,
    memoryBudget,
  });
  // Compiling knows ids and shapes, never the mode: what is sampled is in `params`, made before.
  const native = await compiledFor(context, pass, scope, listeners.onModel);
  // Weights that were read anew for it have no LoRAs.
  await bringLoras(scope, tracker, job);
  return tracker.stage((onEvent) => scope.run(() => native.sample(params, onEvent)));
}
