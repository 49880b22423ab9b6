export { type Attempt, diagnose, type Diagnosis } from './diagnose.js';
export type { DisposeOptions } from './disposal.js';
export { inspectModel, type InspectModelOptions } from './inspect.js';
export { Model } from './model.js';
export type { CurrentLora, Loras } from './loras.js';
export { createRuntime, Runtime } from './runtime.js';
export type * from './types.js';
export type { DigestOptions } from './weights.js';
export { type UpscaleEstimate, type UpscaleEstimateOptions, Upscaler, type UpscaleOptions } from './upscaler.js';
