// The part of the contract that is about changed weights; `contract.ts` has the rules.

import type { NativeEvent, NativeJob } from './contract.js';

/** A tensor of a loaded model. Type as ggml names it, shape outermost dimension first. */
export interface NativeTensorInfo {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
}

/** A file of deltas. */
export interface NativeLoraFile {
  /** SHA-256 of its content. */
  readonly id: string;
  /** Absolute. */
  readonly path: string;
  /** `size:mtimeNs:inode` at the time it was hashed; another stamp when it is read is an error. */
  readonly stamp: string;
}

/** A tensor of such a file: dtype as safetensors or ggml names it. */
export interface NativeLoraPart {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly offset: number;
}

/** One change of one tensor; `native/engine/lora/delta.cpp` has the formulas and the names of the parts. */
export interface NativeDelta {
  /** Index in {@link NativeWeightsPlan.files}. */
  readonly file: number;
  readonly kind: 'lora' | 'loha' | 'lokr' | 'full' | 'ia3' | 'glora' | 'oft' | 'boft';
  /** The user's weight. */
  readonly multiplier: number;
  /** alpha / rank; for oft and boft the bound of the blocks' norm, 0: none. */
  readonly scale: number;
  /** Rows of the tensor that it changes. */
  readonly rowOffset: number;
  readonly rows: number;
  /** lora: ranks used, 0: all. */
  readonly rank: number;
  /** ia3: on input; glora: the older order of factors. */
  readonly flag: boolean;
  readonly parts: Readonly<Record<string, NativeLoraPart>>;
}

/** What a tensor shall be: its original plus all deltas, added in this order. Without deltas: the original. */
export interface NativeTarget {
  readonly tensor: string;
  /** Names this state by content; empty: the original. */
  readonly key: string;
  /** The tensor seen as a matrix of that many rows. */
  readonly rows: number;
  readonly deltas: readonly NativeDelta[];
}

export interface NativeWeightsPlan {
  /** Where originals of tensors that are changed for the first time are kept. */
  readonly backup: 'file' | 'ram' | 'device';
  /** Compare the checkpoint with what was loaded before anything is touched. */
  readonly verify: boolean;
  /** Most bytes of merged tensors to keep. */
  readonly cacheBytes: number;
  readonly files: readonly NativeLoraFile[];
  readonly targets: readonly NativeTarget[];
}

export interface NativeWeightsResult {
  /** Tensors computed, put back, and taken from those that were kept. */
  readonly merged: number;
  readonly restored: number;
  readonly copied: number;
  readonly bytes: number;
  readonly seconds: number;
}

export interface NativeWeightsMemory {
  readonly ramBackup: number;
  readonly deviceBackup: number;
  readonly cache: number;
  readonly loraFiles: number;
  readonly changedTensors: number;
  /** By component: what a backend that compiles has compiled of its weights. Default: nothing. */
  readonly compiled?: Readonly<Partial<Record<'textEncoder' | 'diffusionModel' | 'vae', number>>>;
}

export interface NativeTensorDigest extends NativeTensorInfo {
  readonly sha256: string;
}

/** A compiled graph that the backend keeps. */
export interface NativeKeptGraph {
  /** Different for every graph, and not that of one of a process before; 0: those that were read ahead and not asked for. */
  readonly graph: number;
  /** See {@link NativeGraphToCompile}. */
  readonly signature: number;
  readonly bytes: number;
}

export interface NativeReleaseParams {
  /** Bytes to let go of at least, as far as there are so many; 0: nothing goes. */
  readonly bytes: number;
  /** Numbers of graphs that stay. */
  readonly keep: readonly number[];
}

/** Operations of a model on its weights. */
export interface NativeWeights {
  /** Tensors of the weights in memory. */
  tensors(): NativeJob<NativeTensorInfo[]>;
  /** The engine's names of modules of LoRA files: `unet_down_blocks_0_…lora_down.weight` gives `model.diffusion_model.….weight.lora_down`. */
  convertNames(names: readonly string[]): NativeJob<string[]>;
  /** Brings the tensors of the plan to their states, or leaves all as they were. */
  applyWeights(plan: NativeWeightsPlan, onEvent: ((event: NativeEvent) => void) | null): NativeJob<NativeWeightsResult>;
  /** Adds the deltas while graphs run and leaves weights alone. The plan holds all LoRAs; an empty one ends it. */
  applyRuntime(plan: NativeWeightsPlan, onEvent: ((event: NativeEvent) => void) | null): NativeJob<NativeWeightsResult>;
  /** In order of names. */
  weightsDigest(): NativeJob<NativeTensorDigest[]>;
  /** Bytes of one tensor as they are in memory. */
  readTensor(name: string): NativeJob<Uint8Array>;
  weightsMemory(): NativeJob<NativeWeightsMemory>;
  /** Drops merged tensors that are kept and, with `fromFile`, backups that the checkpoint still has. Gives bytes. */
  releaseBackups(fromFile: boolean): NativeJob<number>;
  /**
   * Lets go of compiled graphs of the model, least recently used first. Gives those that stay, most recently used first;
   * none where the backend compiles nothing.
   */
  releaseCompiled(params: NativeReleaseParams): NativeJob<NativeKeptGraph[]>;
}
