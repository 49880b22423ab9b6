import type { JobScope, NativeEvent, NativeGraphMemory, NativeImage, NativeUpscaleSize } from '../native/index.js';
import type { ModelUpscaler } from './hires/upscalers.js';
import type { ModelRole, Pass } from './plan.js';
import type { ModelContext, Presence } from './prompts.js';
import { allParts, type WeightParts } from '../weights/index.js';

/** Models of one job. */
export interface JobModels {
  readonly first: ModelContext;
  /** Of the hires checkpoint; undefined without one. */
  readonly second?: ModelContext | undefined;
  /** What takes over from one of them in the middle of a run. */
  readonly refiner?: ModelContext | undefined;
  readonly secondRefiner?: ModelContext | undefined;
  /** That of the hires pass; undefined without one. */
  readonly upscaler?: UpscalerModel | undefined;
}

/** A picture to enlarge. */
export interface EnlargeInput {
  readonly image: NativeImage;
  /** Pixels. */
  readonly tileSize: number;
  readonly memoryBudget: number;
}

/** An upscaler model, loaded or not, as jobs see it. */
export interface UpscalerModel {
  readonly scale: number;
  /** Where it works. */
  readonly device: string;
  readonly presence: Presence;
  /** Memory of one run; a size is measured once. Nothing is loaded for it. */
  readonly measure: (size: NativeUpscaleSize, scope: JobScope) => Promise<NativeGraphMemory>;
  /** Enlarges a picture once, by the model's own scale. It must be held and loaded. */
  readonly enlarge: (
    input: EnlargeInput,
    scope: JobScope,
    onEvent: (event: NativeEvent) => void,
  ) => Promise<NativeImage>;
}

/**
 * Finds an upscaler model and reads the header of its file; it is loaded when its job comes.
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT`, `ERR_MODEL_UNSUPPORTED`; or the signal's reason.
 */
export type OpenUpscaler = (upscaler: ModelUpscaler, signal: AbortSignal | undefined) => Promise<UpscalerModel>;

/** The models that the parts of a pass name. */
export interface PassModels {
  readonly diffusionModel: ModelContext;
  readonly textEncoder: ModelContext;
  readonly vae: ModelContext;
  /** Enlarges the results that the pass begins with; undefined where no model does. */
  readonly upscaler?: UpscalerModel | undefined;
}

export function modelsOf({ parts, start }: Pick<Pass, 'parts' | 'start'>, models: JobModels): PassModels {
  return {
    ...(start?.upscaler.kind === 'model' ? { upscaler: models.upscaler } : {}),
    diffusionModel: modelOf(parts.diffusionModel, models),
    textEncoder: modelOf(parts.textEncoder, models),
    vae: modelOf(parts.vae, models),
  };
}

/** Each model once, in the order diffusion model, text encoder, VAE. */
export function distinct({ diffusionModel, textEncoder, vae }: PassModels): ReadonlySet<ModelContext> {
  return new Set([diffusionModel, textEncoder, vae]);
}

/** What a model does in a pass. */
export function servedBy(model: ModelContext, own: PassModels): WeightParts {
  return new Set([...allParts].filter((part) => own[part] === model));
}

/** All models of a job, each once. */
export function modelsOfJob({ first, second, refiner, secondRefiner }: JobModels): ReadonlySet<ModelContext> {
  return new Set([first, refiner, second, secondRefiner].filter((model) => model !== undefined));
}

export function modelOf(role: ModelRole, models: JobModels): ModelContext {
  const model = models[role];
  if (model === undefined) throw new Error(`A pass names a model that the job has not: ${role}`);
  return model;
}
