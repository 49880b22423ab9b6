/** Containers the engine reads, recognised by content and never by extension. */
export type ModelFormat = 'safetensors' | 'gguf' | 'ckpt';

/** A long array in a header (a GGUF tokenizer, for example) is described, not kept. */
export interface ElidedArray {
  /** Element type as the format names it, e.g. `string`. */
  readonly arrayOf: string;
  readonly length: number;
}

/** Integers past 2^53 - 1 are decimal strings, so that a header is always JSON. */
export type MetadataScalar = string | number | boolean | null;
export type MetadataValue = MetadataScalar | readonly MetadataScalar[] | ElidedArray;
export type Metadata = Readonly<Record<string, MetadataValue>>;

/** One tensor as the header describes it. */
export interface TensorHeader {
  readonly name: string;
  /** safetensors' names for plain types (`F32`, `F16`, `BF16`, `I64`, …); ggml's names for quantised ones (`q4_0`, `q4_K`, …). */
  readonly dtype: string;
  /** Outermost dimension first, as PyTorch prints it. GGUF stores the reverse. A scalar is `[]`. */
  readonly shape: readonly number[];
  /** Byte position of the weights from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** What the head of a model file says. No weights were read. */
export interface FileHeader {
  readonly format: ModelFormat;
  /** Absolute path. */
  readonly path: string;
  /** Size of the file. */
  readonly bytes: number;
  readonly tensors: readonly TensorHeader[];
  readonly metadata: Metadata;
}

export interface ReadHeaderOptions {
  readonly signal?: AbortSignal;
  /** Name of the option the path came from, for error messages; default `path`. */
  readonly field?: string;
}

/** Bounds that keep a hostile header from using up memory or time. Real files stay far below them. */
export const limits = {
  /** safetensors' own limit. */
  safetensorsHeaderBytes: 100_000_000,
  tensors: 262_144,
  /** Bytes of UTF-8 in a tensor name. The longest real ones are near 200. */
  nameBytes: 1024,
  dimensions: 8,
  ggufKeyValues: 65_536,
  /** The GGUF specification's limit of a key. */
  ggufKeyBytes: 65_535,
  ggufStringBytes: 16_777_216,
  ggufArrayStrings: 16_777_216,
  /** Names, keys and string values kept, together. */
  ggufKeptBytes: 134_217_728,
  /** Longer arrays become an {@link ElidedArray}. */
  keptArray: 64,
  zipEntries: 262_144,
  zipDirectoryBytes: 67_108_864,
  pickleBytes: 33_554_432,
  pickleOpcodes: 2_000_000,
  pickleDepth: 64,
  jsonDepth: 32,
} as const;
