/**
 * The one typed contract of the native addon (`native/addon`). Nothing else in `lib/` knows what the addon looks like.
 *
 * Rules that hold for every member:
 * - A call that starts work returns a {@link NativeJob}; the work runs on the model's own native thread, in the order
 *   of the calls. `cancel()` is idempotent and may be called at any time; a cancelled job rejects with code `ERR_ABORTED`.
 * - Rejections are `Error` objects with a `code` from {@link NativeErrorCode}; TypeScript turns them into typed errors.
 * - Events arrive on the JS thread, in order, and never after the job's promise has settled.
 * - The addon checks types and ranges that could harm the process; everything a person can get wrong is checked, with a
 *   good message, in TypeScript first.
 */

import type { NativeWeights } from './contract-weights.js';

export type * from './contract-weights.js';
import type { NativeUpscaler, NativeUpscalerOptions } from './contractUpscaler.js';
import type { NativeSampleParams } from './contract-sample.js';
import type { NativeJobMemory, NativeMeasureParams, NativeMeasuring, NativeSize } from './contractMemory.js';

export type * from './contract-sample.js';
export type * from './contractMemory.js';
export type * from './contractUpscaler.js';

import type {
  NativeConditioning,
  NativeCountTokensParams,
  NativeEncodePromptParams,
  NativeTokenCount,
} from './contract-prompts.js';

export type * from './contract-prompts.js';

/** Codes the addon rejects with. */
export type NativeErrorCode =
  | 'ERR_ABORTED'
  | 'ERR_BACKEND_UNAVAILABLE'
  | 'ERR_DISPOSED'
  | 'ERR_ENGINE'
  | 'ERR_INVALID_OPTION'
  | 'ERR_MODEL_CHANGED'
  | 'ERR_INVALID_PROMPT'
  | 'ERR_MODEL_CORRUPT'
  | 'ERR_MODEL_NOT_FOUND'
  | 'ERR_MODEL_UNSUPPORTED'
  | 'ERR_OUT_OF_MEMORY';

/** Phases of a job, as the engine goes through them. */
export type NativePhase = 'load' | 'lora' | 'encode' | 'sample' | 'decode' | 'tile' | 'upscale';

export interface NativeProgressEvent {
  readonly type: 'progress';
  readonly phase: NativePhase;
  /** Steps, tiles or tensors done so far, 0..total. */
  readonly step: number;
  readonly total: number;
  /** Seconds per step as measured by the engine; 0 until the first step is done. */
  readonly secondsPerStep: number;
  /** Bytes read so far (`load` only, else 0). */
  readonly bytes: number;
  /** Bytes to read in all (`load` only, else 0). */
  readonly totalBytes: number;
}

export interface NativePreviewEvent {
  readonly type: 'preview';
  readonly step: number;
  readonly image: NativeImage;
}

/** A graph was compiled before it ran. */
export interface NativeCompileEvent {
  readonly type: 'compile';
  readonly component: 'textEncoder' | 'diffusionModel' | 'controlNet' | 'vae' | 'upscaler';
  /** Why, or that it was in the disk cache. */
  readonly reason: string;
  readonly nodes: number;
  /** Milliseconds that it took. */
  readonly ms: number;
  /** Memory that it takes. */
  readonly bytes: number;
  /** Its number, see {@link NativeKeptGraph}. */
  readonly graph: number;
  /** See {@link NativeGraphToCompile}. */
  readonly signature: number;
}

export type NativeEvent = NativeProgressEvent | NativePreviewEvent | NativeCompileEvent;

export interface NativeJob<T> {
  readonly promise: Promise<T>;
  cancel(): void;
  /** Different for every job of the process, never 0; log lines name it. */
  readonly id?: number;
  /**
   * Grows while the engine works on the job: with every node of a CPU graph, graph, tensor read, step and tile. A job
   * whose count stands still does nothing, or one very long thing.
   */
  activity?(): number;
}

/** 8-bit interleaved pixels. `channels` is 1 (mask) or 3 (RGB); data.length = width * height * channels. */
export interface NativeImage {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

/** Row-major f32 tensor; for a latent the shape is [1, channels, height / f, width / f]. */
export interface NativeTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Bytes that a process shares with one that it starts; it has no name anywhere. All offsets and lengths in bytes. */
export interface NativeSharedMemory {
  /** Descriptor for the process that is started to inherit. */
  readonly fd: number;
  readonly bytes: number;
  /** Copies in; a range past the end throws. */
  write(offset: number, data: Uint8Array): void;
  /** Copies out, as many bytes as `into` holds. */
  read(offset: number, into: Uint8Array): void;
  /** Gives a range back to the system where it can; its content is lost. */
  trim(offset: number, length: number): void;
  close(): void;
}

/** Result of one backend module that was tried. */
export interface NativeBackendReport {
  readonly file: string;
  readonly loaded: boolean;
  /** Empty when loaded. */
  readonly reason: string;
}

export interface NativeDevice {
  /** Name to pass as `device`, e.g. `CPU`, `CUDA0`, `Vulkan0`. */
  readonly name: string;
  readonly description: string;
  readonly type: 'cpu' | 'gpu' | 'igpu' | 'accel';
  /** Registry the device belongs to: `CPU`, `CUDA`, `Vulkan`, … */
  readonly backend: string;
  /** Bytes. */
  readonly memoryFree: number;
  readonly memoryTotal: number;
}

export interface NativeVersions {
  readonly engine: string;
  readonly engineCommit: string;
  readonly ggml: string;
  readonly ggmlCommit: string;
  readonly compiler: string;
  readonly napi: number;
}

/** The engine's own name tables, index = enum value; our unions are tested against them. */
export interface NativeTables {
  readonly samplers: readonly string[];
  readonly schedules: readonly string[];
  readonly rngs: readonly string[];
  readonly predictions: readonly string[];
  readonly previews: readonly string[];
  readonly weightTypes: readonly string[];
  /** The engine's display names of model families, e.g. `SD 1.x`, `SDXL`. */
  readonly architectures: readonly string[];
}

/** Absolute paths of the files that make a model; at least `checkpoint` or `diffusionModel`. */
export interface NativeModelFiles {
  readonly checkpoint?: string;
  readonly diffusionModel?: string;
  readonly vae?: string;
  readonly taesd?: string;
  readonly clipL?: string;
  readonly clipG?: string;
  readonly clipVision?: string;
  readonly t5xxl?: string;
  readonly llm?: string;
  readonly llmVision?: string;
  readonly controlNet?: string;
}

export interface NativeLoadOptions {
  readonly files: NativeModelFiles;
  /** Device name of {@link NativeDevice}; empty string: the engine's first choice among loaded backends. */
  readonly device: string;
  readonly deviceOptions?: string; // what its backend is made with: lines of name=value
  /** 0: number of physical cores. */
  readonly threads: number;
  /** `taesd` replaces the VAE for the final picture too (false), or serves previews only (true). */
  readonly taesdPreviewOnly: boolean;
  /** Type of {@link NativeTables.weightTypes} or empty string to keep the file's. */
  readonly weightType: string;
  /** The engine's rule syntax: `regex=type,regex=type`. */
  readonly tensorTypeRules: string;
  /** Kernels of convolutions as f32. */
  readonly wideConvolutions: boolean;
  readonly mmap: boolean;
  readonly flashAttention: boolean;
  readonly diffusionConvDirect: boolean;
  readonly vaeConvDirect: boolean;
  readonly keepTextEncoderOnCpu: boolean;
  readonly keepVaeOnCpu: boolean;
  readonly keepControlNetOnCpu: boolean;
  /** Keep parameters in host memory and bring them to the device when used. */
  readonly offloadToCpu: boolean;
  /** GiB; 0: no limit. */
  readonly maxVram: number;
  readonly circularX: boolean;
  readonly circularY: boolean;
  /** Name of {@link NativeTables.predictions} or empty string to detect. */
  readonly prediction: string;
  /** Name of {@link NativeTables.rngs}. */
  readonly rng: string;
  readonly samplerRng: string;
  /** Without the VAE's encoder: less memory, but img2img is impossible. */
  readonly vaeDecodeOnly: boolean;
  /** Another model lends the part: it gets no memory, is not read, and the files need not have it. */
  readonly withoutTextEncoder: boolean;
  readonly withoutVae: boolean;
  /** Bytes that weights and read buffers may take: `ERR_OUT_OF_MEMORY` before any is allocated. 0: any. */
  readonly memoryBudget: number;
}

/** Part of a loaded model. */
export interface NativeComponent {
  readonly name: 'textEncoder' | 'diffusionModel' | 'vae' | 'previewVae' | 'controlNet';
  /** Bytes of parameters. */
  readonly bytes: number;
  readonly tensors: number;
  readonly device: string;
}

export interface NativeModelInfo {
  /** One of {@link NativeTables.architectures}. */
  readonly architecture: string;
  /** Latent channels: 4 (SD1, SD2, SDXL), 16 (SD3, FLUX.1…), … */
  readonly latentChannels: number;
  /** Channels that the diffusion model reads beside the latent; 0: none. */
  readonly concatChannels: number;
  /** Pixels per latent cell: 8 for most VAEs. */
  readonly scaleFactor: number;
  /** Width and height must be multiples of this. */
  readonly sizeMultiple: number;
  readonly defaultSampler: string;
  readonly defaultSchedule: string;
  readonly prediction: string;
  readonly isInpaint: boolean;
  readonly isEdit: boolean;
  readonly isControl: boolean;
  readonly isDit: boolean;
  readonly isVideo: boolean;
  readonly isSdxl: boolean;
  readonly hasControlNet: boolean;
  readonly usesTaesd: boolean;
  readonly canEncodeImages: boolean;
  readonly tensors: number;
  readonly components: readonly NativeComponent[];
}

/** Header facts of model files, no weights read. */
export interface NativeInspection {
  /** One of {@link NativeTables.architectures}, or empty string: not a model the engine knows. */
  readonly architecture: string;
  readonly tensors: readonly { readonly name: string; readonly type: string; readonly shape: readonly number[] }[];
}

export interface NativeSigmaParams {
  readonly steps: number;
  /** Empty string: the model's default for the sampler. */
  readonly schedule: string;
  /** Empty string: the model's default sampler. */
  readonly sampler: string;
  readonly width: number;
  readonly height: number;
  /** NaN: the model's default. */
  readonly flowShift: number;
}

/** Width and height in latent cells; the seed 0..2^53-1. */
export interface NativeNoiseParams extends NativeSize {
  readonly seed: number;
}

export interface NativeTiling {
  readonly enabled: boolean;
  /** Latent cells; 0: the engine's default (32). */
  readonly tileSizeX: number;
  readonly tileSizeY: number;
  /** 0..0.5, share of the tile that overlaps its neighbour. */
  readonly overlap: number;
}

export interface NativeEncodeImageParams {
  /** Encoded one after the other with one generator seeded once, so order matters. */
  readonly images: readonly { readonly image: NativeImage; readonly mask: NativeImage | null }[];
  readonly seed: number;
  readonly tiling: NativeTiling;
  readonly memoryBudget: number;
}

export interface NativeDecodeParams {
  readonly latent: NativeTensor;
  readonly tiling: NativeTiling;
  readonly memoryBudget: number;
}

export interface NativeModel extends NativeWeights {
  readonly info: NativeModelInfo;
  encodePrompt(
    params: NativeEncodePromptParams,
    onEvent: ((event: NativeEvent) => void) | null,
  ): NativeJob<NativeConditioning>;
  /** Tokenizes and computes nothing: milliseconds. */
  countTokens(params: NativeCountTokensParams): NativeJob<NativeTokenCount[]>;
  sigmas(params: NativeSigmaParams): NativeJob<Float32Array>;
  /** The noise that {@link sample} begins with for a seed: `[1, latentChannels, height, width]`, unit variance. */
  noise(params: NativeNoiseParams): NativeJob<NativeTensor>;
  sample(params: NativeSampleParams, onEvent: ((event: NativeEvent) => void) | null): NativeJob<NativeTensor>;
  encodeImages(
    params: NativeEncodeImageParams,
    onEvent: ((event: NativeEvent) => void) | null,
  ): NativeJob<NativeTensor[]>;
  decodeLatent(params: NativeDecodeParams, onEvent: ((event: NativeEvent) => void) | null): NativeJob<NativeImage>;
  /** What the operations above would allocate for a job of this shape, from their own graphs; nothing is computed. */
  measure(params: NativeMeasureParams): NativeJob<NativeJobMemory>;
  /** Waits for running work, frees the weights, ends the thread. Idempotent. */
  dispose(): Promise<void>;
}

export type NativeLogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface NativeAddon extends NativeMeasuring {
  readonly versions: NativeVersions;
  readonly tables: NativeTables;
  /**
   * Loads every ggml backend module of a directory (absolute path) once per process, but for those of `skip` (absolute
   * paths); further calls report again.
   */
  loadBackends(directory: string, skip?: readonly string[]): NativeBackendReport[];
  devices(): NativeDevice[];
  /**
   * What a loaded backend tells of the library behind it, JSON: for `openvino` its version and devices. Empty for others.
   * It may start drivers.
   */
  describeBackend(name: string): string;
  /** CPU features of the chosen variant, e.g. `AVX2`, `FMA`. */
  cpuFeatures(): Record<string, boolean>;
  /**
   * Engine log lines of this environment; null turns it off. Never keeps the process alive. `job` is the
   * {@link NativeJob.id} of the job that the line belongs to, 0 where none is known.
   */
  setLogger(level: NativeLogLevel, logger: ((level: NativeLogLevel, text: string, job: number) => void) | null): void;
  inspect(files: NativeModelFiles): NativeJob<NativeInspection>;
  loadModel(options: NativeLoadOptions, onEvent: ((event: NativeEvent) => void) | null): NativeJob<NativeModel>;
  loadUpscaler(
    options: NativeUpscalerOptions,
    onEvent: ((event: NativeEvent) => void) | null,
  ): NativeJob<NativeUpscaler>;
  /** Memory to share with a process that is started later. Pages take memory once written. null: this system has none. */
  createSharedMemory(bytes: number): NativeSharedMemory | null;
  /** In the process that was started: the memory behind an inherited descriptor, which is taken over. */
  openSharedMemory(fd: number, bytes: number): NativeSharedMemory | null;
  /**
   * For a process that holds nothing but the engine: a fault writes its reason and the last lines of the log to
   * standard error before the process dies of it, and the process dies with the thread that started it.
   */
  guardEngineProcess(): void;
}
