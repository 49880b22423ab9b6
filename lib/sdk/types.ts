import type { LogSource } from '../native/index.js';
import type { ConvolutionType, Prediction, Rng, Sampler, Schedule, WeightType } from '../options/index.js';
import type { ModelDefaults } from '../pipeline/defaults.js';
import type { ProgressEvent } from '../pipeline/events.js';
import type { LoraBackup, LoraMode } from '../weights/index.js';
import type { DeviceQuery } from './deviceChoice.js';
import type { IsolationMode, IsolationOptions } from './isolation.js';
import type { OpenvinoOptions, OpenvinoPrecision } from './openvino.js';

export type { DeviceQuery, IsolationMode, IsolationOptions, LogSource, OpenvinoOptions, OpenvinoPrecision };

/** Family of compute devices. `auto`: the first GPU that a loaded backend reports, else OpenVINO, else the CPU. */
export type Backend = 'auto' | 'cpu' | 'cuda' | 'vulkan' | 'openvino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface RuntimeOptions {
  /** Default: `auto`. Asking for one that is not there is `ERR_BACKEND_UNAVAILABLE`, never a silent fallback. */
  readonly backend?: Backend | undefined;
  /**
   * Device of the backend: its name (`CUDA1`) or a part of its description, its index, or what it must have, such as
   * `{ memory: '8GiB' }`; see {@link Runtime.devices}. Default: the first of the backend.
   */
  readonly device?: string | number | DeviceQuery | undefined;
  /** Path of the addon (`node-diffusion.node`) to use. Default: found by itself, see `NODE_DIFFUSION_BINARY`. */
  readonly binary?: string | URL | undefined;
  /**
   * CPU threads per model, 0..1024; 0: one per physical core, or as many as the process may use where that is less
   * (affinity, control groups of Linux). Default: 0.
   */
  readonly threads?: number | undefined;
  /**
   * Most memory that the models of this runtime may take: weights and running jobs together, bytes or a text such as
   * `2GiB`. It bounds the growth of the process's resident memory since the runtime was made. What would go beyond is
   * refused with `ERR_OUT_OF_MEMORY` before anything is allocated; a job that fits when others have ended waits for
   * them. Default: none, what the system has.
   */
  readonly memoryLimit?: number | string | undefined;
  /** Engine messages below this level are dropped. Default: `warn`. */
  readonly logLevel?: LogLevel | undefined;
  /** Directories that are searched, with all below them, for the names of LoRAs. Default: none. */
  readonly loraDirectories?: readonly (string | URL)[] | undefined;
  /** Receives the engine's messages of this thread, with the job that each belongs to. Default: none, messages are dropped. */
  readonly logger?: ((level: LogLevel, message: string, source: LogSource) => void) | undefined;
  /**
   * `process`: the engine runs in a process of its own. When it crashes, is killed or hangs, its jobs reject with
   * `ERR_ENGINE_CRASHED` and the next job starts a fresh process, which loads the models again. Default: `none`.
   */
  readonly isolation?: IsolationMode | IsolationOptions | undefined;
  /** Settings of the backend `openvino`; refused with another. */
  readonly openvino?: OpenvinoOptions | undefined;
}

export interface DeviceInfo {
  /** Name for the option `device`: `CPU`, `CUDA0`, `Vulkan0`, … */
  readonly name: string;
  readonly description: string;
  readonly type: 'cpu' | 'gpu' | 'igpu' | 'accel';
  readonly backend: Exclude<Backend, 'auto'> | (string & {});
  /** Bytes. */
  readonly memoryFree: number;
  readonly memoryTotal: number;
}

/** A backend module that lies beside the addon, and whether it could be used. */
export interface BackendInfo {
  readonly file: string;
  readonly loaded: boolean;
  /** Why not; empty when loaded. */
  readonly reason: string;
}

export interface Versions {
  /** Of this package. */
  readonly package: string;
  readonly engine: string;
  readonly engineCommit: string;
  readonly ggml: string;
  readonly ggmlCommit: string;
  readonly compiler: string;
  readonly napi: number;
}

/** Files of a model. Without `checkpoint` and `diffusionModel` the embedded model is loaded. */
export interface ModelFileOptions {
  /** Single file (safetensors, GGUF, ckpt) with everything, or with the parts not named below. */
  readonly checkpoint?: string | URL | undefined;
  /** UNet or transformer alone. */
  readonly diffusionModel?: string | URL | undefined;
  readonly vae?: string | URL | undefined;
  /** Tiny autoencoder. Replaces the VAE, unless `taesdPreviewOnly`. */
  readonly taesd?: string | URL | undefined;
  readonly clipL?: string | URL | undefined;
  readonly clipG?: string | URL | undefined;
  readonly clipVision?: string | URL | undefined;
  readonly t5xxl?: string | URL | undefined;
  readonly llm?: string | URL | undefined;
  readonly llmVision?: string | URL | undefined;
  readonly controlNet?: string | URL | undefined;
}

export interface LoadModelOptions extends ModelFileOptions {
  /** Convert weights while loading, e.g. `f16`, `q8_0`. Default: as they are in the file. */
  readonly weightType?: WeightType | undefined;
  /** Weight types by tensor name: `{ '^model\\.diffusion_model': 'q8_0' }`, or the engine's `regex=type,regex=type`. */
  readonly tensorTypeRules?: string | Readonly<Record<string, WeightType>> | undefined;
  /**
   * Type of the kernels of convolutions, to which what goes into them is rounded as well. `f32`: neither is rounded, and
   * nothing above 65504 overflows; kernels take twice the memory. A ControlNet, and the factors of convolutions that
   * LoRAs add at run time, stay `f16`. Default: `f16`, whatever `weightType` says, as the engine does.
   */
  readonly convolutionType?: ConvolutionType | undefined;
  /** Map the files into memory rather than read them. Default: false. */
  readonly mmap?: boolean | undefined;
  /** Attention without the full score matrix: less memory, usually faster. Default: false. */
  readonly flashAttention?: boolean | undefined;
  /** Direct convolutions in the diffusion model: less memory. Default: false. */
  readonly diffusionConvDirect?: boolean | undefined;
  /** Direct convolutions in the VAE: much less memory. Default: false. */
  readonly vaeConvDirect?: boolean | undefined;
  /** Keep a component on the CPU while the rest is on the device. Default: false. */
  readonly textEncoderOnCpu?: boolean | undefined;
  readonly vaeOnCpu?: boolean | undefined;
  readonly controlNetOnCpu?: boolean | undefined;
  /** Keep all weights in host memory and bring each component to the device when it runs. Default: false. */
  readonly offloadToCpu?: boolean | undefined;
  /** Device memory that one graph may use, GiB; 0: no limit. Default: 0. */
  readonly maxVram?: number | undefined;
  /** Pictures that tile seamlessly along an axis; `true`: both. Default: false. */
  readonly circular?: boolean | { readonly x?: boolean; readonly y?: boolean } | undefined;
  /** What the network predicts. Default: detected from the weights. */
  readonly prediction?: Prediction | undefined;
  /** Device by name. Default: the runtime's; the CPU where `auto` took OpenVINO and `offloadToCpu` or `maxVram` is given. */
  readonly device?: string | undefined;
  /** CPU threads, 0..1024. Default, and at 0: the runtime's. */
  readonly threads?: number | undefined;
  /** Generator of the noise: `cuda` (philox, as on NVIDIA GPUs), `cpu` (PyTorch's CPU generator), `std`. Default: `cuda`. */
  readonly rng?: Rng | undefined;
  /** Generator of the noise that samplers add. Default: as `rng`. */
  readonly samplerRng?: Rng | undefined;
  /** Leave the VAE's encoder out: less memory, no img2img. Default: false. */
  readonly vaeDecodeOnly?: boolean | undefined;
  /** Use `taesd` for previews only. Default: false. */
  readonly taesdPreviewOnly?: boolean | undefined;
  /** Most conditioning to keep in memory, bytes; 0 turns the cache off. Default: 64 MiB. */
  readonly conditioningCacheBytes?: number | undefined;
  /**
   * How LoRAs reach the weights. `merge`: they become part of the weights, so that pictures take no longer than without.
   * `runtime`: the weights stay as they are and every step takes a little longer. `auto`: `runtime` where the weights that
   * a set changes are quantised, `merge` otherwise. Default: `auto`.
   */
  readonly loraMode?: LoraMode | undefined;
  /**
   * Where the originals of changed tensors come from. `file`: from the checkpoint again, which costs no memory; its
   * content is checked. `ram`: copies in host memory, for as long as a tensor is changed. `device`: copies beside the
   * tensor. Default: `file`.
   */
  readonly loraBackup?: LoraBackup | undefined;
  /** Most merged tensors to keep in memory, bytes, so that going back to a set is a copy. Default: 0. */
  readonly loraCacheBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Events of phase `load`, with bytes. */
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
}

export interface ComponentInfo {
  readonly name: 'textEncoder' | 'diffusionModel' | 'vae' | 'previewVae' | 'controlNet';
  /** Bytes of parameters in memory. */
  readonly bytes: number;
  readonly tensors: number;
  readonly device: string;
}

export interface ModelInfo {
  /** The engine's name of the family: `SD 1.x`, `SDXL`, `Flux`, … */
  readonly architecture: string;
  /** Short name for captions: the file's name without extension, or `nano` for the embedded model. */
  readonly name: string;
  readonly embedded: boolean;
  /** Absolute paths of the files, by the option they belong to. */
  readonly files: Readonly<Partial<Record<keyof ModelFileOptions, string>>>;
  /** 4 for SD1, SD2 and SDXL; 16 for SD3 and FLUX. */
  readonly latentChannels: number;
  /** Channels that the diffusion model reads beside the latent (inpaint, edit and control models); 0: none. */
  readonly concatChannels: number;
  /** Pixels per latent cell, usually 8. */
  readonly scaleFactor: number;
  /** Width and height must be multiples of this. */
  readonly sizeMultiple: number;
  readonly defaultSampler: Sampler;
  readonly defaultSchedule: Schedule;
  readonly defaults: ModelDefaults;
  readonly prediction: string;
  readonly isInpaint: boolean;
  readonly isEdit: boolean;
  readonly isControl: boolean;
  readonly isVideo: boolean;
  readonly hasControlNet: boolean;
  /** True when a tiny autoencoder makes the final picture. */
  readonly usesTaesd: boolean;
  /** False: img2img, inpaint and encodeImage are refused. */
  readonly canEncodeImages: boolean;
  readonly tensors: number;
  /** Bytes of parameters of all components. */
  readonly bytes: number;
  readonly bytesByDevice: Readonly<Record<string, number>>;
  readonly components: readonly ComponentInfo[];
}

/** What a load takes, bytes. */
export interface LoadEstimate {
  /** Parameters of all components, as they will be in memory. */
  readonly weights: number;
  readonly components: readonly Pick<ComponentInfo, 'name' | 'bytes' | 'device'>[];
  /** Buffers of the reader threads, for weights that change their type. */
  readonly readBuffers: number;
  /** File bytes that are mapped while they are read (`mmap`); the system can drop them at any time. */
  readonly mapped: number;
  /** Most at one time: `weights` + `readBuffers`, and under a `memoryLimit` also `mapped`. */
  readonly peak: number;
  /** What the load can have now. */
  readonly available: number;
  /** `memoryLimit` of the runtime; null: none. */
  readonly limit: number | null;
  /** False: the load would be refused with `ERR_OUT_OF_MEMORY`. */
  readonly fits: boolean;
}

/** SHA-256 of one file of a model. */
export interface ComponentIdentity {
  /** Option it was given as: `checkpoint`, `vae`, … */
  readonly role: keyof ModelFileOptions;
  readonly path: string;
  readonly bytes: number;
  /** 64 hex digits. */
  readonly sha256: string;
}

export interface LoadUpscalerOptions {
  /** ESRGAN model file. */
  readonly file: string | URL;
  /** Device by name. Default: the runtime's; the CPU where `auto` took OpenVINO and `offloadToCpu` or `maxVram` is given. */
  readonly device?: string | undefined;
  /** CPU threads, 0..1024. Default, and at 0: the runtime's. */
  readonly threads?: number | undefined;
  /** Pixels, 16..4096. Default: 128. */
  readonly tileSize?: number | undefined;
  readonly convDirect?: boolean | undefined;
  readonly offloadToCpu?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
}
