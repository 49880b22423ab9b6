import { DiffusionError } from '../errors/index.js';
import { checkOptions } from '../options/index.js';
import type { GenerateEvent } from './events.js';
import type { ModelFacts } from './facts.js';
import type { GenerateListeners } from './generate.js';
import type { GivenImages } from './inputs.js';
import { refuseMaskless } from './inpaint/settings.js';
import { enqueueRequest } from './job.js';
import { notify } from './listeners.js';
import type { OpenUpscaler } from './models.js';
import type { ModelRole, PassParts } from './plan.js';
import type { ModelContext, ModelSources } from './prompts.js';
import type { GenerateResult, PassMode } from './request.js';
import { img2imgSpec, inpaintSpec, txt2imgSpec } from './spec.js';
import { streamJob } from './stream.js';

export interface PipelineModel extends ModelContext {
  /** Finds the upscaler model of a hires pass. */
  readonly openUpscaler: OpenUpscaler;
  /** Finds the model of a hires checkpoint and looks at its files; it is loaded when its pass comes. */
  readonly openSecond?: OpenSecond | undefined;
}

export interface SecondRequest {
  /** Undefined: the model's own, with other modules. */
  readonly checkpoint: string | undefined;
  readonly modules: 'same' | 'built-in' | readonly string[];
  /** Option that holds both, for errors. */
  readonly within: 'hires.' | 'refiner.' | 'hires.refiner.';
  /** Models of the job beside the first, which can lend parts as that does. */
  readonly others: readonly Lender[];
}

export interface Lender extends ModelSources {
  readonly role: ModelRole;
}

export interface OpenedSecond {
  readonly model: PipelineModel;
  /** Whose parts a pass of it works with: `second` is this model, `first` one that lends the part. */
  readonly parts: PassParts;
  /** Who lends, where it is not the first model. */
  readonly lenders?: Partial<Record<'textEncoder' | 'vae', ModelRole>>;
}

/**
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT`, `ERR_MODEL_UNSUPPORTED`, `ERR_OUT_OF_MEMORY` when
 *   the model would not fit even alone; or the signal's reason.
 */
export type OpenSecond = (request: SecondRequest, signal: AbortSignal | undefined) => Promise<OpenedSecond>;

type CheckedTxt2Img = ReturnType<typeof checkTxt2Img>;
export type CheckedRequest = Omit<CheckedTxt2Img, 'hires'> &
  Partial<Pick<CheckedTxt2Img, 'hires'>> &
  GivenImages & { readonly denoisingStrength?: number };

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
    resolve(enqueueRequest(model, mode, options, options, options.signal, wanted));
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
      onModel: (event) => {
        notify(options.onModel, event);
        onEvent(event);
      },
      onWarning: (event) => {
        notify(options.onWarning, event);
        onEvent(event);
      },
    };
    return enqueueRequest(model, mode, options, listeners, signal, true);
  }, options.signal);
}
