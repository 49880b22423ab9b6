import type { LoraReport } from '../weights/index.js';
import type { Txt2ImgRequest } from '../pipeline/index.js';
import type {
  ComponentIdentity,
  DeviceInfo,
  LoadEstimate,
  LoadModelOptions,
  ModelInfo,
  RuntimeOptions,
  Versions,
} from '../sdk/types.js';
import type { Pixels } from './pictures.js';

export const benchCommands = ['throughput', 'latency', 'lora', 'hires', 'load', 'memory', 'backends'] as const;
export type BenchCommand = (typeof benchCommands)[number];

export const peerNames = ['sd-cli', 'diffusers', 'openvino-python'] as const;
export type PeerName = (typeof peerNames)[number];

/** Pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A request with nothing left to defaults, so that every side does the same. */
export interface BenchRequest extends Size {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly steps: number;
  readonly cfgScale: number;
  /** The engine's names. */
  readonly sampler: string;
  readonly schedule: string;
  readonly seed: number;
  readonly hires?: BenchHires;
}

export interface BenchHires {
  readonly scale: number;
  readonly upscaler: string;
  readonly steps: number;
  readonly denoisingStrength: number;
}

/** What the caller of a benchmark chose. */
export interface BenchSettings {
  readonly command: BenchCommand;
  readonly runtime: RuntimeOptions;
  readonly load: LoadModelOptions;
  /** The rest is the model's defaults. */
  readonly request: Partial<Omit<BenchRequest, 'width' | 'height' | 'hires'>> & {
    readonly hires?: Partial<BenchHires>;
  };
  /** Default: the model's. */
  readonly sizes?: readonly Size[];
  /** Measured turns, 1..1000. Default: by command. */
  readonly repeat?: number;
  /** Turns before them that do not count, 0..100. Default: 1. */
  readonly warmup?: number;
  readonly compare?: { readonly peer: PeerName; readonly path: string };
  /** LoRA files of `lora`. Default: two of random numbers that are made for the model. */
  readonly loras?: readonly string[];
  /** Of `backends`. Default: all with a device. */
  readonly backends?: readonly string[];
}

/** Milliseconds of one picture. */
export interface PictureTimes {
  readonly encode: number;
  /** All evaluations of the diffusion model. */
  readonly sample: number;
  readonly decode: number;
  /** The whole of it, from the request to the pixels. */
  readonly total: number;
  /** From the request to the end of the first step; where it is known. */
  readonly firstStep?: number;
}

/** One picture of a side. */
export interface SideRun extends PictureTimes {
  readonly pixels: Pixels;
  /** Of a side that starts a process for every picture: reading weights, and the process from start to end, in milliseconds. */
  readonly load?: number;
  readonly process?: number;
  /** Most resident bytes of that process. */
  readonly peak?: number;
}

/** A program that makes pictures: this package or a peer. */
export interface Side {
  readonly name: string;
  /** Versions, and the device once a picture was made; of a peer. */
  readonly about: Readonly<Record<string, unknown>>;
  picture(request: BenchRequest): Promise<SideRun>;
  close(): Promise<void>;
}

/** What is asked of a fresh process of ours. */
export interface FreshJob {
  readonly runtime: RuntimeOptions;
  readonly load: LoadModelOptions;
  /** Without one the model is only loaded. */
  readonly request?: BenchRequest;
  /** Where the picture goes. */
  readonly output?: string;
}

/** What a fresh process of ours tells; milliseconds and bytes. */
export interface FreshResult {
  readonly load: number;
  /** The engine's own line about reading tensors, to 10 ms; null while nobody asked for it. */
  readonly tensors: number | null;
  readonly times: PictureTimes | null;
  /** Resident bytes: with a runtime, with the model, and the most of all. */
  readonly start: number;
  readonly resting: number;
  readonly peak: number;
  /** The process from start to end, as seen from outside. */
  readonly process: number;
}

/** What benchmarks use of a model. */
export interface BenchModel {
  readonly info: Pick<
    ModelInfo,
    'architecture' | 'name' | 'defaults' | 'defaultSampler' | 'defaultSchedule' | 'sizeMultiple' | 'files'
  >;
  readonly loras: {
    set(
      list: readonly { readonly path: string }[],
      options?: { readonly signal?: AbortSignal },
    ): Promise<Pick<LoraReport, 'tensors' | 'copied'>>;
  };
  txt2img(request: Txt2ImgRequest): Promise<{
    readonly images: readonly Pixels[];
    /** Seconds. */
    readonly timings: Omit<PictureTimes, 'firstStep'>;
  }>;
  weightsDigest(options?: { readonly signal?: AbortSignal }): Promise<{ readonly sha256: string }>;
  estimate(request: Txt2ImgRequest): Promise<{ readonly job: number; readonly peak: number }>;
  identity(options?: { readonly signal?: AbortSignal }): Promise<readonly ComponentIdentity[]>;
  dispose(options?: { readonly abort?: boolean }): Promise<void>;
}

/** What benchmarks use of a runtime. */
export interface BenchRuntime {
  readonly backend: string;
  readonly device: Pick<DeviceInfo, 'name' | 'description' | 'backend' | 'type'>;
  readonly devices: readonly Pick<DeviceInfo, 'name' | 'backend'>[];
  readonly versions: Versions;
  loadModel(options: LoadModelOptions): Promise<BenchModel>;
  estimateLoad(options: LoadModelOptions): Promise<Pick<LoadEstimate, 'peak' | 'weights'>>;
  dispose(options?: { readonly abort?: boolean }): Promise<void>;
}

/** What benchmarks need from outside, so that tests can stand in for it. */
export interface BenchHost {
  createRuntime(options: RuntimeOptions): Promise<BenchRuntime>;
  /** Files of the embedded model. */
  embedded(signal: AbortSignal): Promise<{ readonly checkpoint: string; readonly taesd: string }>;
  /** Runs a job in a fresh process of ours. */
  readonly fresh: (job: FreshJob, signal: AbortSignal) => Promise<FreshResult>;
  /** Instruction sets in use on the CPU. */
  cpuFeatures(): readonly string[];
}
