import type { GeneratedImage, ImageInput } from '../image/index.js';
import type { Sampler, Schedule } from '../options/index.js';
import type { Conditioning } from './conditioning.js';
import type { PreviewEvent, ProgressEvent, PromptWarning, QueueEvent } from './events.js';
import type { Latent } from './latent.js';
import type { BaseRequest, TilingOptions } from './request.js';

/** Signal and listeners that every low-level operation takes. */
export interface OperationOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
  readonly onQueue?: ((event: QueueEvent) => void) | undefined;
}

export interface EncodePromptOptions extends OperationOptions {
  readonly prompt: string;
  /** null: none is encoded, which serves cfgScale 1 only. Default: ''. */
  readonly negativePrompt?: string | null | undefined;
  /** 1..12. Default: by model. */
  readonly clipSkip?: number | undefined;
  /** Size of the picture, which conditions SDXL. Pixels. Default: by model. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** For vision-language text encoders (Qwen-Image-Edit). */
  readonly refImages?: readonly ImageInput[] | undefined;
  /** As in a request. */
  readonly strictPrompt?: boolean | undefined;
  readonly onWarning?: ((warning: PromptWarning) => void) | undefined;
}

export type CountTokensOptions = Pick<OperationOptions, 'signal' | 'onQueue'>;

/** A prompt as one text encoder of the model gets it. */
export interface TokenCount {
  /** CLIP ViT-L, bigG or H, T5-XXL, or a language model. */
  readonly encoder: 'clipL' | 'clipG' | 'clipH' | 't5xxl' | 'llm';
  /** Without begin, end and padding. */
  readonly tokens: number;
  /** Runs of the encoder; their outputs are joined, so that a long prompt is read in whole. */
  readonly chunks: number;
  /** Tokens of text in a chunk; 0: the encoder takes the whole prompt in one. */
  readonly chunkTokens: number;
  /** Tokens that are read; null: all. FLUX's CLIP-L reads 75. */
  readonly limit: number | null;
  /** Text beyond the limit, as the tokenizer spells it; empty: none. */
  readonly cut: string;
}

type SamplingOptions = Pick<
  BaseRequest,
  | 'steps'
  | 'cfgScale'
  | 'sampler'
  | 'schedule'
  | 'seed'
  | 'eta'
  | 'imageCfgScale'
  | 'guidance'
  | 'flowShift'
  | 'skipLayerGuidance'
  | 'sigmas'
  | 'controlImage'
  | 'controlStrength'
  | 'stepCache'
  | 'preview'
>;

export interface SampleOptions extends SamplingOptions, OperationOptions {
  /** Of `encodePrompt` of this model. */
  readonly conditioning: Conditioning;
  /** Start latent; image i of its batch uses seed + i. Default: zeros of width x height, as txt2img. */
  readonly latent?: Latent | undefined;
  /** Pixels; without `latent`. Default: by model. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** Gaussian noise of the latent's shape. Default: drawn from the seed; a sampler's own noise always is. */
  readonly noise?: Latent | undefined;
  /** 0..1: the part of the schedule that is run, see img2img. Default: 1, all of it. */
  readonly denoisingStrength?: number | undefined;
  /** One number per latent cell, row by row, 0 (keep) to 1 (repaint): length width / f * height / f. Default: all 1. */
  readonly mask?: Float32Array | undefined;
  /**
   * What inpaint, edit and control models read beside the latent: `[concatChannels, height / f, width / f]`, row-major,
   * where `model.info.concatChannels` is not 0; one for all images of the batch. SD inpaint: mask (1 repaints) and
   * latent of the masked picture. Flux Fill: that latent and the 64 pixels of the mask of each cell. Flex.2: latent
   * outside the mask, mask, control latent. InstructPix2Pix and Flux Control: latent of the reference or control
   * picture. Default: that of a request without pictures (mask 1, the rest 0).
   */
  readonly concat?: Float32Array | readonly number[] | undefined;
  /** The same for the evaluation without the text. Default: that of a request without pictures. */
  readonly uncondConcat?: Float32Array | readonly number[] | undefined;
  /** Latents of reference pictures, for edit models. */
  readonly refLatents?: readonly Latent[] | undefined;
  readonly onPreview?: ((event: PreviewEvent) => void) | undefined;
}

export interface EncodeImageOptions extends OperationOptions {
  readonly image: ImageInput;
  /** Pixels. Default: the picture's own size, rounded down to the model's multiple. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** Of the generator that the VAE draws its sample from. Default: 0. */
  readonly seed?: number | undefined;
  /** As {@link BaseRequest.tiling}. Default: `auto`. */
  readonly tiling?: 'auto' | boolean | TilingOptions | undefined;
}

export interface DecodeLatentOptions extends OperationOptions {
  readonly latent: Latent;
  /** As {@link BaseRequest.tiling}. Default: `auto`. */
  readonly tiling?: 'auto' | boolean | TilingOptions | undefined;
}

export interface SigmasOptions extends Omit<OperationOptions, 'onProgress'> {
  readonly steps?: number | undefined;
  readonly sampler?: Sampler | (string & {}) | undefined;
  readonly schedule?: Schedule | (string & {}) | undefined;
  /** Pixels; flow models shift their schedule by it. Default: by model. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly flowShift?: number | undefined;
}

/** Pictures of `decodeLatent`; they carry no request, and -1 for a seed. */
export type DecodedImages = readonly GeneratedImage[];
