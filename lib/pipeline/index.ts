export type { JobWarning, TiledWarning } from './admission.js';
export { enlargeBytes, smallerTiles } from './hires/enlargement.js';
export { Conditioning } from './conditioning.js';
export { ConditioningCache } from './conditioningCache.js';
export { modelDefaults, type ModelDefaults } from './defaults.js';
export { decodeLatent, encodeImage, encodePrompt } from './encoding.js';
export { estimateRequest, type MemoryEstimate, modeOf } from './estimate.js';
export { type PlannedPass, planRequest, type RequestPlan } from './explain.js';
export type { PlannedCompilation } from './plannedCompilations.js';
export type * from './events.js';
export { defaultSchedule, type ModelFacts } from './facts.js';
export { Latent, type LatentShape } from './latent.js';
export type { CompiledGraphs } from './compiledGraphs.js';
export { type GraphOwner, letGoOf, refresh as refreshGraphsOf } from './graphRelief.js';
export { MeasureCache } from './measure.js';
export { notify } from './listeners.js';
export type { EnlargeInput, OpenUpscaler, UpscalerModel } from './models.js';
export {
  type Lender,
  type OpenedSecond,
  type OpenSecond,
  type PipelineModel,
  runMode,
  type SecondRequest,
  streamMode,
} from './modes.js';
export type { ModelRole, PassParts } from './plan.js';
export { FirstPassImage, runFirstPass, runHires } from './hires/firstPass.js';
export type { PixelFilter } from './hires/pixelResize.js';
export {
  type LatentUpscalerName,
  listUpscalers,
  type UpscalerFile,
  type UpscalerInfo,
  type UpscalerInput,
  type UpscalerName,
} from './hires/upscalers.js';
export type { ModelIdentity, Presence } from './prompts.js';
export type * from './operations.js';
export { ProgressTracker, type Stage } from './progress.js';
export { type EnqueueOptions, JobQueue, type QueuedJob, type QueueView } from './queue.js';
export type * from './request.js';
export { sampleLatent, sigmasOf } from './sampleLatent.js';
export { imageInput, jobSpec } from './spec.js';
export { countTokens } from './tokens.js';
export { type LatentSpace, spaceFamily, type SpaceSource, spaceSource } from './space.js';
export type { Turn } from './turn.js';
