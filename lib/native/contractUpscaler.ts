import type { NativeEvent, NativeImage, NativeJob } from './contract.js';

// The part of the addon's contract (contract.ts) that is about upscalers.

export interface NativeUpscalerOptions {
  readonly file: string;
  readonly device: string;
  /** What its backend is made with: lines of `name=value`. */
  readonly deviceOptions?: string;
  readonly threads: number;
  /** Pixels. */
  readonly tileSize: number;
  readonly convDirect: boolean;
  readonly offloadToCpu: boolean;
}

export interface NativeUpscaler {
  readonly scale: number;
  upscale(image: NativeImage, onEvent: ((event: NativeEvent) => void) | null): NativeJob<NativeImage>;
  dispose(): Promise<void>;
}
