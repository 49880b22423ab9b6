export { checkEngineReads } from './engine.js';
export { listDiffusers, type DiffusersPart } from './diffusers.js';
export { classify, type ComponentName, type ModelKind } from './kind.js';
export { bytesOfType } from './ggml-types.js';
export { readHeader } from './read-header.js';
export {
  limits,
  type ElidedArray,
  type FileHeader,
  type Metadata,
  type MetadataScalar,
  type MetadataValue,
  type ModelFormat,
  type ReadHeaderOptions,
  type TensorHeader,
} from './types.js';
