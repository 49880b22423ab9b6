import type { JobScope, NativeEvent, NativeImage } from '../native/index.js';
import type { ModelUpscaler } from './hires/upscalers.js';
import type { ModelRole, Pass } from './plan.js';
import type { ModelContext } from './prompts.js';
import type { WeightParts } from '../weights/index.js';

/** Models of one job. */
export interface JobModels {
  readonly first: ModelContext;
  /** Of the hires checkpoint; undefined without one. */
  readonly second?: ModelContext | undefined;
  /** What takes over from one of them in the middle of a run. */
  readonly refiner?: ModelContext | undefined;
  readonly secondRefiner?: ModelContext | undefined;
  /** Enlarges a picture with an upscaler model, once, by the model's own scale. */
  readonly enlarge: EnlargeWithModel;
}

export type EnlargeWithModel = (
  upscaler: ModelUpscaler,
  picture: NativeImage,
  scope: JobScope,
  onEvent: (event: NativeEvent) => void,
) => Promise<NativeImage>;

/** The models that the parts of a pass name. */
export interface PassModels {
  readonly diffusionModel: ModelContext;
  readonly textEncoder: ModelContext;
  readonly vae: ModelContext;
}

export function modelsOf({ parts }: Pick<Pass, 'parts'>, models: JobModels): PassModels {
  return {
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
  const parts = ['diffusionModel', 'textEncoder', 'vae'] as const;
  return new Set(parts.filter((part) => own[part] === model));
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
