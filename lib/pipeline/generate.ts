import { isDeepStrictEqual } from 'node:util';
import type { GeneratedImage } from '../image/index.js';
import type { JobScope, NativeCompileEvent, NativeImage } from '../native/index.js';
import type { JobWarning } from './admission.js';
import { tellCompilation } from './compilations.js';
import type { Lease } from './conditioningCache.js';
import type { Enter, EnterEnlarging } from './enter.js';
import type { ImageEvent, ModelEvent, PromptWarning } from './events.js';
import type { PassGroup } from './groups.js';
import { enlargeAll } from './hires/start.js';
import { type Inputs, noInputs } from './inputs.js';
import { planEncoding } from './latents.js';
import { notify } from './listeners.js';
import { type JobModels, modelsOf } from './models.js';
import { type PassJob, type PassResult, runPass } from './pass.js';
import { decodes, type Pass, type Plan, runsOf } from './plan.js';
import { previewOf } from './preview.js';
import { ProgressTracker, type ProgressListeners } from './progress.js';
import type { JobTimings } from './request.js';
import { generateStages } from './stages.js';
import { passWarnings } from './tokens.js';

export interface GenerateListeners extends ProgressListeners {
  readonly onImage?: ((event: ImageEvent) => void) | undefined;
  readonly onWarning?: ((warning: JobWarning) => void) | undefined;
  readonly onModel?: ((event: ModelEvent) => void) | undefined;
}

export interface GenerateOutput {
  readonly images: readonly GeneratedImage[];
  /** Of the last pass, one for each image. */
  readonly results: readonly PassResult[];
  readonly timings: Omit<JobTimings, 'queued'>;
  readonly warnings: readonly PromptWarning[];
}

/** Makes the public image of pixels; `index` is the place in the batch, from 0. */
export type Finish = (image: NativeImage, index: number) => GeneratedImage;

/** What a job works with beside its plan. */
export interface GenerateJob {
  readonly models: JobModels;
  /** Pictures of the request for each pass, at its size. */
  readonly inputs: readonly Inputs[];
  /** Results that the first pass of the plan begins with; of `model.hires`. */
  readonly starts?: readonly PassResult[];
  readonly listeners: GenerateListeners;
  /** The passes as they are let in. */
  readonly groups: readonly PassGroup[];
  /** Loads the models of a pass and takes its memory. */
  readonly enter: Enter;
  readonly enlarging: EnterEnlarging;
  readonly finish: Finish;
}

/**
 * Carries a plan out, pass by pass over the whole batch, so that a change of models or LoRAs between two passes is made
 * once for a job and not once for an image. The steps of a pass, their order and their seeds are those of the engine's
 * `generate_image`, so the bytes are those of sd-cli; only the decoding of an image comes right after its sampling,
 * which changes no byte and shows it sooner.
 */
export async function generate(scope: JobScope, plan: Plan, job: GenerateJob): Promise<GenerateOutput> {
  const { models, listeners, finish } = job;
  const started = performance.now();
  const passes = plan.passes.map((pass, index) => passJob(pass, index, plan, job));
  const images: GeneratedImage[] = [];
  const count = plan.passes[0].seeds.length;
  let current = passes[0];
  const onCompile = (event: NativeCompileEvent): void => {
    if (current !== undefined) tellCompilation(event, current.models, listeners.onModel);
  };
  const tracker = new ProgressTracker(generateStages(passes, models, job.groups), count, { ...listeners, onCompile });
  const leases: Lease[] = [];
  const warnings: PromptWarning[] = [];
  const check = async ({ pass, models: own }: PassJob, index: number): Promise<void> => {
    const [head = []] = runsOf(plan);
    for (const warning of await passWarnings(own.textEncoder, scope, pass, plan.strictPrompt, index >= head.length)) {
      // A refiner often reads as much of the same prompts as the model before it.
      if (warnings.some((told) => isDeepStrictEqual(told, warning))) continue;
      warnings.push(warning);
      notify(listeners.onWarning, warning);
    }
  };
  try {
    // Before anything is computed, as far as the text encoders are there.
    const known = passes.map(({ models: { textEncoder } }) => {
      // One that works for somebody else is asked when it is its turn.
      const isIdle = textEncoder === models.first || textEncoder.queue.turn.free;
      return isIdle && textEncoder.presence?.loaded !== false;
    });
    for (const [index, pass] of passes.entries()) if (known[index] === true) await check(pass, index);
    let results = job.starts ?? [];
    for (const [index, pass] of passes.entries()) {
      current = pass;
      const before = known[index] === true ? undefined : () => check(pass, index);
      const apart = await job.enlarging(index, tracker);
      if (apart !== null) results = await enlargeAll(scope, tracker, { ...pass, ...apart }, results);
      const entered = { ...pass, ...(await job.enter(index, tracker)) };
      results = await runPass(scope, tracker, entered, results, leases, before, (picture, image) => {
        if (index < passes.length - 1) return;
        const result = finish(picture, image);
        images.push(result);
        notify(listeners.onImage, { type: 'image', image: image + 1, images: count, result });
      });
    }
    const seconds = (['load', 'lora', 'encode', 'sample', 'upscale', 'decode'] as const).map(
      (phase) => [phase, tracker.seconds(phase)] as const,
    );
    const total = (performance.now() - started) / 1000;
    return { images, results, timings: { ...(Object.fromEntries(seconds) as Phases), total }, warnings };
  } finally {
    // After an abort the native side may still read the conditioning.
    void scope.idle().then(() => {
      for (const lease of leases) lease.release();
    });
  }
}

function passJob(pass: Pass, index: number, plan: Plan, { models, inputs, listeners }: GenerateJob): PassJob {
  const own = modelsOf(pass, models);
  const given = inputs[index] ?? noInputs;
  const encoding = planEncoding(pass, given, own.diffusionModel.facts);
  const decoder = decodes(plan, index) ? own.vae : null;
  const { memoryBudget } = plan;
  const preview = previewOf(pass, plan.preview);
  return { pass, models: own, inputs: given, encoding, preview, memoryBudget, decoder, listeners };
}

type Phases = Omit<JobTimings, 'queued' | 'total'>;
