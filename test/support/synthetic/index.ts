export { type LoraOptions, writeLora, writeTextFile, writeTruncated, writeWrongShapes } from './broken.js';
export { writeCkpt } from './ckpt.js';
export { type SyntheticKind, syntheticKinds, syntheticPart, syntheticTensors } from './kinds.js';
export { type QuantType, writeGguf } from './gguf.js';
export { type SyntheticTensor, Tensors, type Values } from './tensors.js';
export {
  type SyntheticFile,
  syntheticBytes,
  type SyntheticOptions,
  writeHollow,
  writeSynthetic,
  writeTensors,
} from './write.js';
