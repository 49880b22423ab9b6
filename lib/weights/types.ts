/** How LoRAs reach the weights. `auto`: `runtime` for quantised checkpoints, `merge` for all others. */
export type LoraMode = 'auto' | 'merge' | 'runtime';

/** Where the originals of changed tensors come from when they are needed again. */
export type LoraBackup = 'file' | 'ram' | 'device';

/** Factors of blocks: a list as the extension LoRA Block Weight has it (12, 17, 20 or 26 numbers), or by name. */
export type BlockWeights = readonly number[] | Readonly<Record<string, number>>;

/** One LoRA of a set. Exactly one of `path` and `name`. */
export interface LoraInput {
  /** The file. */
  readonly path?: string | URL | undefined;
  /** Name of a file in `loraDirectories` of the runtime, without extension, or its alias (`ss_output_name`). */
  readonly name?: string | undefined;
  /** Strength, any finite number up to 1000. Default: 1. */
  readonly weight?: number | undefined;
  /** Strength in the diffusion model. Default: weight. */
  readonly unetWeight?: number | undefined;
  /** Strength in the text encoders. Default: weight. */
  readonly textEncoderWeight?: number | undefined;
  /** Factors for blocks of the diffusion model (`BASE`: the text encoders). Default: 1 for all. */
  readonly blockWeights?: BlockWeights | undefined;
  /** Use only the first ranks of every low-rank module (A1111's `dyn`), >= 1. Default: all. */
  readonly dyn?: number | undefined;
}

/** A LoRA of a set with everything filled in. */
export interface ResolvedLora {
  /** For tags and captions. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly unetWeight: number;
  readonly textEncoderWeight: number;
  readonly blockWeights: BlockWeights | undefined;
  /** 0: all ranks. */
  readonly dyn: number;
}

export type DeltaKind = 'lora' | 'loha' | 'lokr' | 'full' | 'ia3' | 'glora' | 'oft' | 'boft';

/** What a set made of one of its files. */
export interface LoraFileReport {
  readonly name: string;
  readonly path: string;
  /** Identity: SHA-256 of the file. */
  readonly sha256: string;
  /** As A1111 writes it in captions: 12 hex digits over the tensors, without the header. */
  readonly shortHash: string;
  readonly unetWeight: number;
  readonly textEncoderWeight: number;
  /** Kinds of its modules, `dora` among them where weights are decomposed. */
  readonly kinds: readonly (DeltaKind | 'dora')[];
  /** Smallest and largest rank of its modules; null without any. */
  readonly rank: { readonly min: number; readonly max: number } | null;
  /** Modules in the file. */
  readonly modules: number;
  /** Those that the model has a tensor for. */
  readonly matched: number;
  /** Keys of the file that the model has no tensor for, or one of another shape. */
  readonly unmatchedKeys: readonly string[];
  /** Tensors of the model that it changes. */
  readonly tensors: number;
}

/** What a set of LoRAs did. */
export interface LoraReport {
  readonly mode: 'merge' | 'runtime';
  /** Why this mode. */
  readonly reason: string;
  readonly backup: LoraBackup;
  readonly files: readonly LoraFileReport[];
  /** Tensors that differ from the checkpoint now. */
  readonly tensors: number;
  /** Tensors that this call computed, put back, and taken from the cache. */
  readonly merged: number;
  readonly restored: number;
  readonly copied: number;
  /** Of the change itself, without reading LoRA files; 0 when the set was in place. */
  readonly seconds: number;
  /** What this call found; none when the set was in place. */
  readonly warnings: readonly string[];
}

export interface WeightsDigest {
  /** SHA-256 over name, type, shape and SHA-256 of every tensor, in order of names: 64 hex digits. */
  readonly sha256: string;
  readonly tensors: number;
  /** SHA-256 of every tensor's bytes, with `perTensor`. */
  readonly perTensor?: Readonly<Record<string, string>>;
}

/** Bytes of the weights, and what changed ones cost beside them. */
export interface WeightsMemory {
  /** By component, bytes of compiled graphs (backend `openvino`); 0 where nothing is compiled. */
  readonly compiled: Readonly<Record<'textEncoder' | 'diffusionModel' | 'vae' | 'controlNet', number>>;
  /** By the name of the device: weights that it holds, and copies of originals beside them (`loraBackup: 'device'`). */
  readonly byDevice: Readonly<Record<string, { readonly weights: number; readonly backups: number }>>;
  readonly backups: { readonly file: 0; readonly ram: number; readonly device: number };
  /** Merged tensors that are kept. */
  readonly mergedCache: number;
  /** LoRA files in memory, and adapters made of them. */
  readonly loraFiles: number;
  /** Tensors that differ from the checkpoint now. */
  readonly changedTensors: number;
}
