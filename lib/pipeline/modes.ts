import { DiffusionError } from '../errors/index.js';
import type { InfotextModel } from '../image/index.js';
import { checkOptions } from '../options/index.js';
import { emptySet, formatLoraTag, type LoraTag, parseLoraTags, type PreparedSet } from '../weights/index.js';
import { finisher } from './caption.js';
import type { GenerateEvent } from './events.js';
import type { ModelFacts } from './facts.js';
import { generate, type GenerateListeners } from './generate.js';
import { checkImages, type GivenImages, readInputs } from './inputs.js';
import { notify } from './listeners.js';
import { makePlan } from './plan.js';
import { resolvePreview } from './preview.js';
import type { ModelContext } from './prompts.js';
import type { JobQueue } from './queue.js';
import type { GenerateResult, PassMode } from './request.js';
import { resolveSampling, resolveTiling } from './sampling.js';
import { img2imgSpec, inpaintSpec, txt2imgSpec } from './spec.js';
import { streamJob } from './stream.js';

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
function checkRequest(mode: PassMode, request: unknown, facts: ModelFacts): CheckedRequest {
  if (facts.isVideo) {
    const message = `"${facts.architecture}" makes videos; ${mode} needs a model for pictures. Load another checkpoint.`;
    throw new DiffusionError('ERR_MODEL_UNSUPPORTED', message, { hint: 'Load another checkpoint.' });
  }
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
  const sampling = withoutImage(resolveSampling(options, facts), options, facts);
  const tiling = resolveTiling(options.tiling);
  const preview = resolvePreview(options.preview, previews, facts);
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
    const { negativePrompt, clipSkip, batchSize, denoisingStrength } = options;
    const { width, height } = inputs;
    const plan = makePlan({
      mode,
      prompt: tagged.prompt,
      taggedPrompt: taggedPrompt(tagged, loras ?? model.weights.baseSet),
      negativePrompt,
      clipSkip,
      width,
      height,
      batchSize,
      denoisingStrength,
      sampling,
      tiling,
      preview,
    });
    const { images, timings } = await generate(
      model,
      scope,
      plan,
      inputs,
      listeners,
      finisher(plan, facts, model.describe(), loraHashes(loras ?? model.weights.baseSet)),
      loras,
    );
    return { images, timings: { queued, ...timings } };
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
