import type { NativeEvent, NativeImage, NativeJob } from './contract.js';
import type { NativeGraphMemory, NativeSize } from './contractMemory.js';

// The part of the addon's contract (contract.ts) that is about upscalers.

export interface NativeUpscalerOptions {
  readonly file: string;
  readonly device: string;
  /** What its backend is made with: lines of `name=value`. */
  readonly deviceOptions?: string;
  readonly threads: number;
  readonly convDirect: boolean;
  readonly offloadToCpu: boolean;
  /** Bytes that weights and read buffers may take: `ERR_OUT_OF_MEMORY` before any is allocated. 0: any. */
  readonly memoryBudget: number;
}

/** Shape of a job, pixels. A picture that is larger than a tile either way is cut into tiles. */
export interface NativeUpscaleSize extends NativeSize {
  readonly tileSize: number;
}

export interface NativeUpscaleParams {
  /** RGB. */
  readonly image: NativeImage;
  /** Pixels. */
  readonly tileSize: number;
  /** Bytes that the graphs of the operation may take; 0: any. */
  readonly memoryBudget: number;
}

export interface NativeUpscaler {
  readonly scale: number;
  /** Bytes of the weights. */
  readonly bytes: number;
  /** Where it works. */
  readonly device: string;
  upscale(params: NativeUpscaleParams, onEvent: ((event: NativeEvent) => void) | null): NativeJob<NativeImage>;
  /** What {@link upscale} would allocate, from the graph of its largest piece; nothing is computed. */
  measure(size: NativeUpscaleSize): NativeJob<NativeGraphMemory>;
  dispose(): Promise<void>;
}

/** What loading an upscaler and its jobs would allocate. */
export interface NativeUpscalerMemory {
  readonly scale: number;
  readonly bytes: number;
  readonly device: string;
  /** Of the reader threads, for weights that change their type. */
  readonly readBuffers: number;
  /** One for each of `sizes`. */
  readonly jobs: readonly NativeGraphMemory[];
}

/** An upscaler that is not loaded, and jobs of it. */
export interface NativeUnloadedUpscaler {
  readonly load: NativeUpscalerOptions;
  readonly sizes: readonly NativeUpscaleSize[];
}
