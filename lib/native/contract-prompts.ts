/** The part of the addon's contract (`contract.ts`) that is about prompts. */
import type { NativeImage, NativeTensor } from './contract.js';

export interface NativeEncodePromptParams {
  readonly prompt: string;
  /** Layers to skip from the end of CLIP; -1: the architecture's default. */
  readonly clipSkip: number;
  /** Size conditioning (SDXL). */
  readonly width: number;
  readonly height: number;
  /** True for SDXL's empty negative prompt, as the reference implementation does. */
  readonly zeroOutMasked: boolean;
  /** Reference images for vision-language text encoders (Qwen-Image-Edit); usually empty. */
  readonly refImages: readonly NativeImage[];
  /** Bytes that graphs may take: a larger one is `ERR_OUT_OF_MEMORY` before it is allocated. 0: any. */
  readonly memoryBudget: number;
}

export interface NativeCountTokensParams {
  readonly prompt: string;
}

/** A prompt as one text encoder gets it. */
export interface NativeTokenCount {
  readonly encoder: 'clipL' | 'clipG' | 'clipH' | 't5xxl' | 'llm';
  /** Without begin, end and padding. */
  readonly tokens: number;
  /** Runs of the encoder; their outputs are joined. */
  readonly chunks: number;
  /** Tokens of text in a chunk; 0: the encoder takes the whole prompt in one. */
  readonly chunkTokens: number;
  /** Tokens that are read; 0: all. */
  readonly limit: number;
  /** Text beyond the limit as the tokenizer spells it; empty: none. */
  readonly cut: string;
}

/** Opaque conditioning held in native memory; freed by garbage collection or `dispose()`. */
export interface NativeConditioning {
  readonly bytes: number;
  /** Shape of the cross-attention context, e.g. [1, 77, 768]. */
  readonly shape: readonly number[];
  /** A copy of the cross-attention context, as tests compare it. Not where the engine is another process. */
  context?(): NativeTensor;
  dispose(): void;
}
