export { LoraDirectories } from './directories.js';
export type { LoraNeed, LoraRoom } from './room.js';
export { type CheckedLora, lorasSpec } from './spec.js';
export { allParts, emptySet, type PreparedSet, type WeightParts, type WeightsOptions, WeightsState } from './state.js';
export { formatLoraTag, type LoraTag, parseLoraTags } from './tags.js';
export type {
  BlockWeights,
  DeltaKind,
  LoraBackup,
  LoraFileReport,
  LoraInput,
  LoraMode,
  LoraReport,
  WeightsDigest,
  WeightsMemory,
} from './types.js';
