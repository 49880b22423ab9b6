import type { GeneratedImage } from '../image/index.js';
import type { PreparedSet } from '../weights/index.js';
import type { JobScope, NativeImage, NativeTensor } from '../native/index.js';
import type { Lease } from './conditioningCache.js';
import type { JobWarning } from './admission.js';
import type { ImageEvent, PromptWarning } from './events.js';
import { withMaskedContent } from './inpaint/content.js';
import { pasteBack } from './inpaint/overlay.js';
import type { Inputs } from './inputs.js';
import { type EncodePlan, planEncoding, prepareLatents, type PreparedLatents } from './latents.js';
import { notify } from './listeners.js';
import { needsUncond, type Pass, type Plan } from './plan.js';
import { ProgressTracker, type ProgressListeners } from './progress.js';
import { acquireConditioning, type ModelContext, negativeParams, positiveParams } from './prompts.js';
import type { JobTimings } from './request.js';
import { sampleParams } from './sampleParams.js';
import { generateStages } from './stages.js';
import { img2imgSigmas } from './steps.js';
import { type GivenPrompt, promptWarnings } from './tokens.js';
import { startNoise } from './variation.js';

export interface GenerateListeners extends ProgressListeners {
  readonly onImage?: ((event: ImageEvent) => void) | undefined;
  readonly onWarning?: ((warning: JobWarning) => void) | undefined;
}

export interface GenerateOutput {
  readonly images: readonly GeneratedImage[];
  readonly timings: Omit<JobTimings, 'queued'>;
  readonly warnings: readonly PromptWarning[];
}

/** Makes the public image of pixels; `index` is the place in the batch, from 0. */
export type Finish = (image: NativeImage, index: number) => GeneratedImage;

/**
 * Carries a plan out: pictures to latents, prompts to conditioning, then sample and decode one image after the other.
 * The steps, their order and their seeds are those of the engine's `generate_image`, so the bytes are those of sd-cli;
 * only the decoding of an image comes right after its sampling, which changes no byte and shows it sooner.
 */
export async function generate(
  context: ModelContext,
  scope: JobScope,
  plan: Plan,
  inputs: Inputs,
  listeners: GenerateListeners,
  finish: Finish,
  loras?: PreparedSet,
): Promise<GenerateOutput> {
  const { native, facts, weights } = context;
  const started = performance.now();
  const [pass] = plan.passes;
  const encoding = planEncoding(pass, inputs, facts);
  const tracker = new ProgressTracker(
    generateStages(plan, encoding, facts, !weights.isCurrent(loras)),
    plan.seeds.length,
    listeners,
  );
  const leases: Lease[] = [];
  try {
    if (!weights.isCurrent(loras)) await tracker.stage((onEvent) => weights.apply(loras, scope, onEvent));
    const warnings = await checkPrompts(context, scope, plan, listeners);
    const encoded = await encodeInputs(context, scope, tracker, plan, encoding);
    const latents = prepareLatents(pass, inputs, facts, encoding, encoded);
    await encodePrompts(context, scope, tracker, plan, inputs, leases);
    const sigmas = await noiseLevels(context, scope, pass);

    const images: GeneratedImage[] = [];
    for (const [index, seed] of plan.seeds.entries()) {
      const latent = await sampleImage(context, scope, tracker, plan, latents, inputs, leases, sigmas, seed, index);
      const decoded = await tracker.stage((onEvent) =>
        scope.run(() => native.decodeLatent({ latent, tiling: plan.tiling, memoryBudget: plan.memoryBudget }, onEvent)),
      );
      scope.check();
      const result = finish(await pasteBack(decoded, inputs.overlay, scope.signal), index);
      images.push(result);
      notify(listeners.onImage, { type: 'image', image: index + 1, images: plan.seeds.length, result });
    }
    const seconds = {
      encode: tracker.seconds('encode'),
      sample: tracker.seconds('sample'),
      decode: tracker.seconds('decode'),
    };
    return { images, timings: { ...seconds, total: (performance.now() - started) / 1000 }, warnings };
  } finally {
    // After an abort the native side may still read the conditioning.
    void scope.idle().then(() => {
      for (const lease of leases) lease.release();
    });
  }
}

/** Before anything is computed: a strict request should not cost the encoding of its pictures. */
async function checkPrompts(
  context: ModelContext,
  scope: JobScope,
  plan: Plan,
  listeners: GenerateListeners,
): Promise<readonly PromptWarning[]> {
  const prompts: GivenPrompt[] = [{ field: 'prompt', text: plan.prompt }];
  if (needsUncond(plan.passes[0].sampling)) prompts.push({ field: 'negativePrompt', text: plan.negativePrompt });
  const warnings = await promptWarnings(context, scope, prompts, plan.strictPrompt);
  for (const warning of warnings) notify(listeners.onWarning, warning);
  return warnings;
}

async function encodeInputs(
  { native }: ModelContext,
  scope: JobScope,
  tracker: ProgressTracker,
  plan: Plan,
  { items }: EncodePlan,
): Promise<NativeTensor[]> {
  if (items.length === 0) return [];
  const { encodeTiling: tiling, memoryBudget } = plan;
  const params = { images: items, seed: plan.passes[0].sampling.seed, tiling, memoryBudget };
  return tracker.stage((onEvent) => scope.run(() => native.encodeImages(params, onEvent)));
}

/** Positive first, then negative where guidance needs it. */
async function encodePrompts(
  context: ModelContext,
  scope: JobScope,
  tracker: ProgressTracker,
  plan: Plan,
  inputs: Inputs,
  leases: Lease[],
): Promise<void> {
  const { width, height, sampling } = plan.passes[0];
  const parts = { ...plan, width, height, refImages: inputs.refImages };
  const wanted = [positiveParams(parts)];
  if (needsUncond(sampling)) wanted.push(negativeParams(parts, context.facts));
  for (const params of wanted) {
    leases.push(
      await tracker.stage((onEvent) => acquireConditioning(context, scope, params, onEvent, plan.memoryBudget)),
    );
    scope.check();
  }
}

async function noiseLevels({ native }: ModelContext, scope: JobScope, pass: Pass): Promise<Float32Array> {
  const { steps, sampler, schedule, flowShift, sigmas } = pass.sampling;
  const { width, height } = pass;
  const all = sigmas ?? (await scope.run(() => native.sigmas({ steps, schedule, sampler, width, height, flowShift })));
  return pass.denoisingStrength === null ? all : img2imgSigmas(all, pass.denoisingStrength);
}

async function sampleImage(
  { native, facts }: ModelContext,
  scope: JobScope,
  tracker: ProgressTracker,
  plan: Plan,
  latents: PreparedLatents,
  inputs: Inputs,
  leases: readonly Lease[],
  sigmas: Float32Array,
  seed: number,
  index: number,
): Promise<NativeTensor> {
  const [cond, uncond] = leases;
  if (cond === undefined) throw new Error('The prompt was not encoded');
  const { sampling, masking } = plan.passes[0];
  const controlImage = facts.hasControlNet ? inputs.controlImage : null;
  const params = sampleParams({
    cond: cond.handle,
    uncond: uncond?.handle ?? null,
    latents: await withMaskedContent(native, scope, masking, latents, seed),
    noise: await startNoise(native, scope, plan.variation, index, seed, latents.latent),
    seed,
    sigmas,
    controlImage,
    sampling,
    preview: plan.preview,
    previewTiling: plan.tiling,
    memoryBudget: plan.memoryBudget,
  });
  return tracker.stage((onEvent) => scope.run(() => native.sample(params, onEvent)));
}
