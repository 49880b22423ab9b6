import type { GeneratedImage, RawImage } from '../image/index.js';
import type { JobWarning } from './admission.js';

/**
 * Phases of a job in the order they happen; `lora` changes weights, `tile` is the VAE or the
 * upscaler at work tile by tile.
 */
export type Phase = 'load' | 'lora' | 'encode' | 'sample' | 'decode' | 'tile' | 'upscale';

export interface ProgressEvent {
  readonly type: 'progress';
  readonly phase: Phase;
  /** Steps, tiles, prompts or tensors of this phase that are done, 0..total. */
  readonly step: number;
  readonly total: number;
  /** Image of the batch that is worked on, from 1; 0 while nothing belongs to one image (load, encode). */
  readonly image: number;
  /** Size of the batch; 0 when loading. */
  readonly images: number;
  /** Seconds per step of this phase; 0 until the first is done. */
  readonly secondsPerStep: number;
  /** Seconds until the whole job is done, estimated; null until something was measured. */
  readonly eta: number | null;
  /** Bytes read (phase `load`), else 0. */
  readonly bytes: number;
  /** Bytes to read (phase `load`), else 0. */
  readonly totalBytes: number;
  /** Share of the whole job that is done, 0..1, never decreasing. */
  readonly fraction: number;
}

export interface PreviewEvent {
  readonly type: 'preview';
  /** Step it was taken after, 1..total. */
  readonly step: number;
  readonly total: number;
  /** Image of the batch, from 1. */
  readonly image: number;
  readonly images: number;
  /** RGB pixels; smaller than the final picture with `projection`. */
  readonly preview: RawImage;
}

export interface ImageEvent {
  readonly type: 'image';
  /** Image of the batch, from 1. */
  readonly image: number;
  readonly images: number;
  readonly result: GeneratedImage;
}

/** Part of a prompt that a text encoder does not read. It comes once for a job, field and encoder, before sampling. */
export interface PromptWarning {
  readonly type: 'warning';
  readonly code: 'cut';
  readonly field: 'prompt' | 'negativePrompt' | 'hires.prompt' | 'hires.negativePrompt';
  /** The text encoder that cuts, e.g. `clipL`. */
  readonly encoder: string;
  /** Tokens of the prompt. */
  readonly tokens: number;
  /** Tokens that are read. */
  readonly limit: number;
  /** The text that is not read, as the tokenizer spells it (CLIP's is lower case). */
  readonly cut: string;
  /** The same as a sentence. */
  readonly message: string;
}

/** Something that took time before a pass: weights were read or dropped, another model took over, a graph was compiled. */
export interface ModelEvent {
  readonly type: 'model';
  /** `switch`: the next pass works with another model than the one before. */
  readonly action: 'load' | 'unload' | 'switch' | 'compile';
  /** Name of the model, as captions have it. */
  readonly model: string;
  /** Why, as a sentence. */
  readonly reason: string;
  /** What the last compiled graph was made for, and the new one; of `compile`. */
  readonly before?: CompileKey | undefined;
  readonly after?: CompileKey | undefined;
  /** Network that was compiled, and the memory that it takes compiled, bytes; of `compile` with the backend `openvino`. */
  readonly component?: 'textEncoder' | 'diffusionModel' | 'controlNet' | 'vae' | 'upscaler' | undefined;
  readonly bytes?: number | undefined;
  /** Milliseconds that it took. */
  readonly ms: number;
}

/** What a compiled graph depends on, and nothing else: the mode of a pass is no part of it. */
export interface CompileKey {
  /** Identity of the weights. */
  readonly weights: string;
  /** Identity of the LoRA set in them. */
  readonly loras: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly device: string;
  /** Type of the weights. */
  readonly precision: string;
}

/** The second pass goes another way than asked for. It comes once for a job, before sampling. */
export interface HiresWarning {
  readonly type: 'warning';
  /** `upscaler`: pixels are enlarged in place of latents; `loras`: those of the first pass do not go with the checkpoint. */
  readonly code: 'upscaler' | 'loras';
  readonly message: string;
}

/** What a stream yields. */
export type GenerateEvent = ProgressEvent | PreviewEvent | ImageEvent | ModelEvent | JobWarning;

/** Kind of a job in the queue of a model. */
export type JobKind =
  | 'txt2img'
  | 'img2img'
  | 'inpaint'
  | 'hires'
  | 'encodePrompt'
  | 'sample'
  | 'encodeImage'
  | 'decodeLatent'
  | 'countTokens'
  | 'sigmas'
  | 'loras'
  | 'weightsDigest'
  | 'memory'
  | 'upscale';

/**
 * `queued`: the job waits. `moved`: its position changed. `started`: its native work begins.
 * `finished`, `failed`, `aborted`: it has left the queue and the next may start.
 */
export type QueueState = 'queued' | 'moved' | 'started' | 'finished' | 'failed' | 'aborted';

export interface QueueEvent {
  readonly type: 'queue';
  readonly state: QueueState;
  /** Number of the job, counted from 1 per model. */
  readonly id: number;
  readonly kind: JobKind;
  /** Jobs before this one; 0 when it runs or has ended. */
  readonly position: number;
  /** Jobs in the queue, the running one included. */
  readonly length: number;
}
