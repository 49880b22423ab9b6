export { type LoraOptions, writeLora, writeTextFile, writeTruncated, writeWrongShapes } from './broken.js';
export { type SyntheticKind, syntheticKinds, syntheticTensors } from './kinds.js';
export type { QuantType } from './gguf.js';
export { type SyntheticTensor, Tensors, type Values } from './tensors.js';
export { type SyntheticFile, syntheticBytes, type SyntheticOptions, writeSynthetic, writeTensors } from './write.js';
