import { DiffusionError } from '../errors/index.js';
import type { InfotextModel } from '../image/index.js';
import { checkOptions } from '../options/index.js';
import { emptySet, formatLoraTag, type LoraTag, parseLoraTags, type PreparedSet } from '../weights/index.js';
import type { TilingChoice } from './admission.js';
import { admitted } from './admitted.js';
import { finisher } from './caption.js';
import type { GenerateEvent } from './events.js';
import type { ModelFacts } from './facts.js';
import { generate, type GenerateListeners } from './generate.js';
import { refuseMaskless, resolveMasking } from './inpaint/settings.js';
import { checkImages, type GivenImages, readInputs } from './inputs.js';
import { notify } from './listeners.js';
import { untiled } from './measure.js';
import { makePlan, type Plan } from './plan.js';
import { resolvePreview } from './preview.js';
import type { ModelContext } from './prompts.js';
import type { JobQueue } from './queue.js';
import type { GenerateResult, PassMode } from './request.js';
import { resolveSampling, resolveTiling } from './sampling.js';
import { shapeOf } from './shape.js';
import { img2imgSpec, inpaintSpec, txt2imgSpec } from './spec.js';
import { streamJob } from './stream.js';
import { resolveVariation } from './variation.js';

export interface PipelineModel extends ModelContext {
  readonly queue: JobQueue;
  /** For captions. Called for every job, since the hashes of a model become known only when somebody asks for them. */
  describe(): InfotextModel;
}

type CheckedTxt2Img = ReturnType<typeof checkTxt2Img>;
type CheckedRequest = CheckedTxt2Img & GivenImages & { readonly denoisingStrength?: number };

function checkTxt2Img(request: unknown, facts: ModelFacts) {
  return checkOptions('txt2img', request, txt2imgSpec(facts));
}

/** Checks a request of a mode and fills the defaults in. */
export function checkRequest(mode: PassMode, request: unknown, facts: ModelFacts): CheckedRequest {
  if (facts.isVideo) {
    const message = `"${facts.architecture}" makes videos; ${mode} needs a model for pictures. Load another checkpoint.`;
    throw new DiffusionError('ERR_MODEL_UNSUPPORTED', message, { hint: 'Load another checkpoint.' });
  }
  if (mode !== 'inpaint') refuseMaskless(request);
  if (mode === 'txt2img') return checkTxt2Img(request, facts);
  if (mode === 'img2img') return checkOptions(mode, request, img2imgSpec(facts));
  return checkOptions(mode, request, inpaintSpec(facts));
}

/** Runs a request as one job of the model's queue. */
export function runMode(model: PipelineModel, mode: PassMode, request: unknown): Promise<GenerateResult> {
  return new Promise((resolve) => {
    model.queue.assertOpen();
    const options = checkRequest(mode, request, model.facts);
    const wanted = options.onPreview !== undefined;
    resolve(enqueue(model, mode, options, options, options.signal, wanted));
  });
}

/** Runs a request and yields its events; see {@link streamJob}. The request's own listeners are called as well. */
export async function* streamMode(
  model: PipelineModel,
  mode: PassMode,
  request: unknown,
): AsyncGenerator<GenerateEvent, void, undefined> {
  model.queue.assertOpen();
  const options = checkRequest(mode, request, model.facts);
  yield* streamJob((onEvent, signal) => {
    const listeners: GenerateListeners = {
      onProgress: (event) => {
        notify(options.onProgress, event);
        onEvent(event);
      },
      onPreview: (event) => {
        notify(options.onPreview, event);
        onEvent(event);
      },
      onImage: onEvent,
      onWarning: (event) => {
        notify(options.onWarning, event);
        onEvent(event);
      },
    };
    return enqueue(model, mode, options, listeners, signal, true);
  }, options.signal);
}

async function enqueue(
  model: PipelineModel,
  mode: PassMode,
  options: CheckedRequest,
  listeners: GenerateListeners,
  signal: AbortSignal | undefined,
  previews: boolean,
): Promise<GenerateResult> {
  const { facts, queue } = model;
  checkImages(options, facts);
  // What is wrong with the options is told before anything is queued.
  resolveSampling(options, facts);
  resolvePreview(options.preview, previews, facts);
  signal?.throwIfAborted();

  // Pictures are read while the job waits, so that a missing file is known at once; the place in the queue is that of
  // the call, however long the reading takes.
  const tagged = parseLoraTags(options.prompt);
  const ready = Promise.all([
    readInputs(options, options, facts, signal),
    ownLoras(model, options, tagged.tags, signal),
  ]);
  ready.catch(() => undefined);
  const queuedAt = performance.now();
  return queue.enqueue(mode, { signal, onQueue: options.onQueue, ready }, async (scope) => {
    const queued = (performance.now() - queuedAt) / 1000;
    const [inputs, loras] = await ready;
    scope.check();
    const set = loras ?? model.weights.baseSet;
    const { plan: draft, tiling } = draftPlan(model, mode, { ...options, prompt: tagged.prompt }, inputs, previews);
    const shape = shapeOf(draft, inputs, facts);
    return admitted(model, scope, shape, tiling, async ({ tilings, memoryBudget, warnings }) => {
      const plan = Object.freeze({
        ...draft,
        taggedPrompt: taggedPrompt(tagged, set),
        tiling: tilings.decode,
        encodeTiling: tilings.encode,
        memoryBudget,
      });
      const finish = finisher(plan, facts, model.describe(), loraHashes(set));
      for (const warning of warnings) notify(listeners.onWarning, warning);
      const { images, timings, warnings: cut } = await generate(model, scope, plan, inputs, listeners, finish, loras);
      return { images, timings: { queued, ...timings }, warnings: [...warnings, ...cut] };
    });
  });
}

/** The set that a request brings; undefined: the model's own holds. */
async function ownLoras(
  { weights }: PipelineModel,
  { loras }: CheckedRequest,
  tags: readonly LoraTag[],
  signal: AbortSignal | undefined,
): Promise<PreparedSet | undefined> {
  if (loras === undefined && tags.length === 0) return undefined;
  if ((loras ?? []).length === 0 && tags.length === 0) return emptySet;
  return weights.prepare(loras ?? [], tags, signal);
}

/** The prompt with a tag for every LoRA of the set, so that the caption makes the picture again. */
function taggedPrompt({ prompt }: { readonly prompt: string }, { loras }: PreparedSet): string {
  const tags = loras.map(({ lora }) => formatLoraTag(lora));
  return tags.length === 0 ? prompt : `${prompt.trimEnd()} ${tags.join(' ')}`;
}

/** As A1111 writes them. */
function loraHashes({ loras }: PreparedSet): Readonly<Record<string, string>> {
  if (loras.length === 0) return {};
  return { 'Lora hashes': loras.map(({ lora, file }) => `${lora.name}: ${file.shortHash}`).join(', ') };
}

/** The plan of a request, without what depends on memory. */
export function draftPlan(
  { facts }: PipelineModel,
  mode: PassMode,
  options: CheckedRequest,
  { width, height }: { readonly width: number; readonly height: number },
  previews: boolean,
): { readonly plan: Plan; readonly tiling: TilingChoice } {
  const { prompt, negativePrompt, clipSkip, strictPrompt, batchSize, denoisingStrength } = options;
  const plan = makePlan({
    mode,
    prompt,
    negativePrompt,
    clipSkip,
    strictPrompt,
    width,
    height,
    batchSize,
    denoisingStrength,
    masking: mode === 'inpaint' ? resolveMasking(options) : undefined,
    resizeMode: options.resizeMode,
    variation: resolveVariation(options, batchSize),
    sampling: withoutImage(resolveSampling(options, facts), options, facts),
    tiling: untiled,
    encodeTiling: untiled,
    preview: resolvePreview(options.preview, previews, facts),
    memoryBudget: 0,
  });
  return { plan, tiling: resolveTiling(options.tiling) };
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
