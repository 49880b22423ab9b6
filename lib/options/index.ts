export { byteSize } from './bytes.js';
export { checkOptions } from './check.js';
export {
  type Checked,
  type Checker,
  checker,
  type DefaultedChecker,
  type Given,
  nullable,
  optional,
  type OptionalChecker,
  type Spec,
  withDefault,
} from './checker.js';
export { oneOf } from './choice.js';
export { arrayOf, floatArray, type LengthRange, object, recordOf, sigmas, union } from './collections.js';
export { labelOf } from './label.js';
export {
  type InpaintArea,
  inpaintAreaAliases,
  inpaintAreas,
  type MaskedContent,
  maskedContentAliases,
  maskedContents,
  resizeAliases,
  resizeLabels,
  type ResizeMode,
  resizeModes,
} from './painting-names.js';
export { boolean, func, integer, number, type NumberRange, signal, size } from './primitives.js';
export type { PassMode, SkipLayerGuidance, StepCacheOptions, TilingOptions } from './request-types.js';
export {
  isAutomatic,
  resolveSampler,
  resolveSchedule,
  type SamplerChoice,
  samplerName,
  scheduleName,
} from './resolve-sampler.js';
export { samplerLabels, scheduleLabels } from './sampler-names.js';
export {
  type EngineRng,
  type Prediction,
  predictionAliases,
  predictions,
  type Rng,
  rngAliases,
  rngs,
  type Sampler,
  samplers,
  type Schedule,
  schedules,
  type StepCacheMode,
  stepCacheModes,
  type WeightType,
  weightTypeAliases,
  weightTypes,
  type ConvolutionType,
  convolutionTypes,
} from './samplers.js';
export { didYouMean, editDistance, nearest, suggestOption } from './suggest.js';
export { filePath, maxPromptLength, prompt, text, type TextOptions } from './text.js';
