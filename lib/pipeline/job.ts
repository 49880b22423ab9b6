import { arrangePasses } from './arrange.js';
import { finisher } from './caption.js';
import { type Drafted, draftRequest, labelled } from './draft.js';
import { enterPasses } from './enter.js';
import { generate, type GenerateListeners } from './generate.js';
import { checkImages } from './inputs.js';
import { notify } from './listeners.js';
import type { CheckedRequest, PipelineModel } from './modes.js';
import type { PassResult } from './pass.js';
import { resolvePreview } from './preview.js';
import type { GenerateResult, PassMode } from './request.js';
import { resolveSampling } from './sampling.js';

/** Runs a checked request as one job of the model's queue. */
export async function enqueueRequest(
  model: PipelineModel,
  mode: PassMode,
  options: CheckedRequest,
  listeners: GenerateListeners,
  signal: AbortSignal | undefined,
  previews: boolean,
  onResults?: (results: readonly PassResult[]) => void,
): Promise<GenerateResult> {
  const { facts } = model;
  checkImages(options, facts);
  // What is wrong with the options is told before anything is queued.
  resolveSampling(options, facts);
  resolvePreview(options.preview, previews, facts);
  signal?.throwIfAborted();
  // Pictures are read while the job waits, so that a missing file is known at once; the place in the queue is that of
  // the call, however long the reading takes.
  const ready = draftRequest(model, mode, options, previews, signal);
  return enqueueDraft(model, mode, ready, options, listeners, signal, onResults);
}

/** Runs what a request becomes as one job of the model's queue. */
export async function enqueueDraft(
  model: PipelineModel,
  kind: PassMode | 'hires',
  ready: Promise<Drafted>,
  options: Pick<CheckedRequest, 'onQueue'>,
  listeners: GenerateListeners,
  signal: AbortSignal | undefined,
  onResults?: (results: readonly PassResult[]) => void,
): Promise<GenerateResult> {
  ready.catch(() => undefined);
  const queuedAt = performance.now();
  return model.queue.enqueue(kind, { signal, onQueue: options.onQueue, ready }, async (scope, seat) => {
    const queued = (performance.now() - queuedAt) / 1000;
    const drafted = await ready;
    scope.check();
    const { models, inputs, warnings, starts } = drafted;
    const plan = labelled(drafted.plan, models);
    const told = [...warnings];
    const warn = (warning: (typeof told)[number]): void => {
      told.push(warning);
      notify(listeners.onWarning, warning);
    };
    for (const warning of warnings) notify(listeners.onWarning, warning);
    const job = { ...drafted, plan };
    const groups = await arrangePasses(job, scope);
    scope.check();
    const entered = enterPasses(scope, seat, job, groups, listeners, warn);
    try {
      const {
        images,
        results,
        timings,
        warnings: cut,
      } = await generate(scope, plan, {
        ...{ models, inputs, listeners },
        ...(starts === undefined ? {} : { starts: starts.map(({ result }) => result) }),
        groups,
        enter: entered.enter,
        enlarging: entered.enlarging,
        finish: (pixels, index) => finisher(entered.plan(), drafted)(pixels, index),
      });
      onResults?.(results);
      return { images, timings: { queued, ...timings }, warnings: [...told, ...cut] };
    } finally {
      entered.leave();
    }
  });
}
