import type {
  NativeComponent,
  NativeEncodePromptParams,
  NativeJob,
  NativeLoadOptions,
  NativeModelInfo,
  NativeTiling,
} from './contract.js';
import type { NativeUnloadedUpscaler, NativeUpscalerMemory } from './contractUpscaler.js';

// The part of the addon's contract (contract.ts) that is about memory.

/** Pixels. */
export interface NativeSize {
  readonly width: number;
  readonly height: number;
}

/** Shape of a job whose memory is to be measured. */
export interface NativeMeasureParams extends NativeSize {
  /** With the prompt first, then the one that guidance needs. Empty: no text encoder. */
  readonly prompts: readonly NativeEncodePromptParams[];
  /** Pictures are sampled with the prompts, of which there is one at least. */
  readonly sample: boolean;
  /** Guidance towards a picture: a third evaluation. */
  readonly imageGuidance: boolean;
  /** The ControlNet runs. */
  readonly control: boolean;
  /** Its strength, which is a part of the graphs. */
  readonly controlStrength: number;
  readonly references: readonly NativeSize[];
  /** As in {@link NativeSampleParams}. */
  readonly preview: string;
  readonly previewTiling: NativeTiling;
  /** Pictures to encode. */
  readonly encode: readonly NativeSize[];
  readonly encodeTiling: NativeTiling;
  readonly decode: boolean;
  readonly decodeTiling: NativeTiling;
}

/** Bytes of one stage. */
export interface NativeGraphMemory {
  /** Buffers of its graphs at their peak; freed when the stage ends. */
  readonly graph: number;
  /** Work buffer of the CPU backend, which keeps the largest until the model goes. */
  readonly work: number;
  /** Graphs that a backend which compiles asks for. Default: none. */
  readonly compiled?: readonly NativeGraphToCompile[];
}

export interface NativeGraphToCompile {
  /** The same for graphs of a model that differ in what their weights hold alone. */
  readonly signature: number;
  /** That it would take, were it not there yet; an estimate. */
  readonly bytes: number;
}

export interface NativeJobMemory {
  readonly textEncoder: NativeGraphMemory;
  readonly diffusion: NativeGraphMemory;
  /** What previews take beside `diffusion`. */
  readonly preview: NativeGraphMemory;
  readonly vaeEncode: NativeGraphMemory;
  readonly vaeDecode: NativeGraphMemory;
}

export interface NativeLoadMemory {
  /** `tensors` is 0. */
  readonly components: readonly NativeComponent[];
  /** Of the reader threads, for weights that change their type. */
  readonly readBuffers: number;
  /** File bytes that are mapped while reading. */
  readonly mapped: number;
  /** Of the model that it will be; `components` and `tensors` are empty. */
  readonly info: NativeModelInfo;
}

/** A job of a model that is not loaded. */
export interface NativeUnloadedJob {
  readonly load: NativeLoadOptions;
  readonly job: NativeMeasureParams;
}

/** Operations of the addon that read headers only. */
export interface NativeMeasuring {
  /** What `loadModel` would allocate. */
  measureLoad(options: NativeLoadOptions): NativeJob<NativeLoadMemory>;
  /** What the `measure` of the model would answer: its graphs are made with weights that have no data. */
  measureJob(params: NativeUnloadedJob): NativeJob<NativeJobMemory>;
  /** What `loadUpscaler` and jobs of the upscaler would allocate. */
  measureUpscaler(params: NativeUnloadedUpscaler): NativeJob<NativeUpscalerMemory>;
}
