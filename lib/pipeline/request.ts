import type { GeneratedImage, ImageInput } from '../image/index.js';
import type {
  InpaintArea,
  MaskedContent,
  ResizeMode,
  Sampler,
  Schedule,
  SkipLayerGuidance,
  StepCacheOptions,
  TilingOptions,
} from '../options/index.js';
import type { LoraInput } from '../weights/index.js';
import type { JobWarning } from './admission.js';
import type { ModelEvent, PreviewEvent, ProgressEvent, QueueEvent } from './events.js';
import type { FirstPassImage } from './hires/firstPass.js';
import type { UpscalerInput } from './hires/upscalers.js';

export type { PassMode, SkipLayerGuidance, StepCacheOptions, TilingOptions } from '../options/index.js';

/** Pictures of the unfinished latent while it is sampled. */
export interface PreviewOptions {
  /**
   * `projection`: a linear map of the latent channels, costs nothing, one pixel per latent cell.
   * `taesd`: the tiny autoencoder (load it with `taesd`). `vae`: the full VAE, slow. Default: `projection`.
   */
  readonly mode?: 'projection' | 'taesd' | 'vae' | undefined;
  /** A preview every n steps, >= 1. Default: 1. */
  readonly every?: number | undefined;
}

/** What every picture request has. `model.info.defaults` holds the defaults that depend on the model. */
export interface BaseRequest {
  /** What the picture shows. Required, a string; may be empty. */
  readonly prompt: string;
  /** What it must not show. Has no effect when cfgScale is 1. Default: ''. */
  readonly negativePrompt?: string | undefined;
  /** Pixels, a multiple of `model.info.sizeMultiple` (64 for UNet models), up to 8192. Default: by model (SD1 512, SDXL 1024, embedded 128). */
  readonly width?: number | undefined;
  /** Pixels, as width. */
  readonly height?: number | undefined;
  /** Denoising steps, 1..1000. Default: by model (20 for most, 4 for distilled ones). */
  readonly steps?: number | undefined;
  /** Classifier-free guidance, 0..100; 1 turns it off and halves the work. Default: by model (SD1 7, FLUX 1, embedded 3). */
  readonly cfgScale?: number | undefined;
  /** Sampler by the engine's name, an alias that A1111 users know is accepted too. Default: `model.info.defaultSampler`. */
  readonly sampler?: Sampler | (string & {}) | undefined;
  /** Noise schedule by the engine's name or A1111's. Default: by model and sampler. */
  readonly schedule?: Schedule | (string & {}) | undefined;
  /**
   * 0..2^53-1, or -1 for a random one, which the result reports. Image i of a batch uses seed + i; with a
   * variationStrength all use the seed itself. Default: -1.
   */
  readonly seed?: number | undefined;
  /**
   * Seed of the noise that the pictures go towards, as `seed`; image i of a batch uses variationSeed + i. Has no effect
   * while variationStrength is 0. Default: -1.
   */
  readonly variationSeed?: number | undefined;
  /**
   * How far the first noise goes from that of `seed` (0) to that of `variationSeed` (1), spherically. A sampler's own
   * noise stays that of `seed`. Default: 0.
   */
  readonly variationStrength?: number | undefined;
  /** Pictures to make, one after the other, 1..1000. Default: 1. */
  readonly batchSize?: number | undefined;
  /** Layers of CLIP to stop before the end, 1..12; 1 is the last layer. Default: by model (SD1 1, SD2 and SDXL 2). */
  readonly clipSkip?: number | undefined;
  /** Noise that ancestral samplers and DDIM/TCD add, 0..1. Default: by sampler. */
  readonly eta?: number | undefined;
  /** Guidance towards the picture; inpaint and edit models only. Default: cfgScale. */
  readonly imageCfgScale?: number | undefined;
  /** Distilled guidance of FLUX-like models, 0..100. Default: 3.5 (Flux Fill 30). */
  readonly guidance?: number | undefined;
  /** Shift of the timesteps of flow models (SD3, FLUX, Qwen-Image), > 0. Default: by model. */
  readonly flowShift?: number | undefined;
  readonly skipLayerGuidance?: SkipLayerGuidance | undefined;
  /** Own noise levels in place of `schedule` and `steps`: decreasing, the last 0, 2..1001 numbers. */
  readonly sigmas?: readonly number[] | Float32Array | undefined;
  /**
   * Tiled VAE. `auto`: the whole picture where memory suffices, else the largest tiles that fit, which
   * `GenerateResult.warnings` tells. `true` means the defaults of {@link TilingOptions}. Default: `auto`.
   */
  readonly tiling?: 'auto' | boolean | TilingOptions | undefined;
  /** Picture for the loaded ControlNet (already preprocessed), or for a control model (FLUX control). */
  readonly controlImage?: ImageInput | undefined;
  /** 0..2. Default: 0.9. */
  readonly controlStrength?: number | undefined;
  /** Reference pictures of edit models (FLUX Kontext, Qwen-Image-Edit, InstructPix2Pix), at most 16. */
  readonly refImages?: readonly ImageInput[] | undefined;
  /**
   * LoRAs for this job, in place of those of `model.loras`; `<lora:name:weight>` tags of the prompt are added to them.
   * Default: the model's, or those of the tags.
   */
  readonly loras?: readonly LoraInput[] | undefined;
  /** Another checkpoint that takes over in the middle of the run. */
  readonly refiner?: RefinerOptions | undefined;
  readonly stepCache?: StepCacheOptions | undefined;
  /** Default: previews are made (`projection`, every step) only when somebody listens. */
  readonly preview?: PreviewOptions | undefined;
  /**
   * True: rejects with `ERR_INVALID_PROMPT` when a text encoder would not read all of a prompt. Default: false, it is
   * reported in `warnings` and by `onWarning`.
   */
  readonly strictPrompt?: boolean | undefined;
  /** Aborting rejects the promise with the signal's reason and stops the native work within one model evaluation. */
  readonly signal?: AbortSignal | undefined;
  /** Called on progress of this job only. What it throws becomes a process warning and does not break the job. */
  readonly onProgress?: ((event: ProgressEvent) => void) | undefined;
  /** Called with previews of this job only. */
  readonly onPreview?: ((event: PreviewEvent) => void) | undefined;
  /** Called for each part of a prompt that a text encoder does not read, and when the VAE tiles by itself. */
  readonly onWarning?: ((warning: JobWarning) => void) | undefined;
  /** Called when this job is queued, moves up, starts and ends. */
  readonly onQueue?: ((event: QueueEvent) => void) | undefined;
  /** Called when weights are read or dropped for this job, when another model takes over, when a graph is compiled. */
  readonly onModel?: ((event: ModelEvent) => void) | undefined;
}

/**
 * A checkpoint that does the last steps of a run: it goes on with the same latents, noise levels, seeds and settings, and
 * encodes the prompts by itself. Its latents must mean what those of the model mean.
 */
export interface RefinerOptions {
  /** It is loaded when its turn comes, once for a batch, and kept while there is room. */
  readonly checkpoint: string | URL;
  /** Share of the steps that are really run after which it takes over, above 0 and below 1. Default: 0.8. */
  readonly switchAt?: number | undefined;
  /**
   * What `switchAt` is a share of. `timesteps`: of the model's 1000 timesteps, as A1111 counts since 1.9, whatever
   * part of them is run. Default: `steps`.
   */
  readonly switchBy?: 'steps' | 'timesteps' | undefined;
  /**
   * Its VAE, which decodes the result, and its text encoders. `same`: the model's. `built-in`: what is inside the
   * checkpoint. A list: these files, and what is inside for the rest. Default: `built-in`.
   */
  readonly modules?: 'same' | 'built-in' | readonly (string | URL)[] | undefined;
}

export interface Txt2ImgRequest extends BaseRequest {
  /** A second pass over the enlarged result: img2img with settings, and if wanted a model, of its own. */
  readonly hires?: HiresOptions | undefined;
}

/**
 * The second pass. What is left out is as in the first; a checkpoint of another kind has its own sampler, guidance and
 * CFG scale.
 */
export interface HiresOptions {
  /** Times that width and height grow, from 1. Default: 2 when neither edge is given. */
  readonly scale?: number | undefined;
  /** Pixels, a multiple of the model's. One edge alone: the other follows. Both: what is left over is cut off. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /**
   * One of `listUpscalers()`, A1111's label of it, or an ESRGAN model's file. Default: `latent`, or `lanczos` where the
   * two models have latents of different spaces.
   */
  readonly upscaler?: UpscalerInput | undefined;
  /** Steps that are really run, 0..1000; 0: as the first pass. Default: 0. */
  readonly steps?: number | undefined;
  /** How much is made anew, 0..1; 0: nothing is sampled. Default: 0.7. */
  readonly denoisingStrength?: number | undefined;
  /** With its own `<lora:…>` tags; those of the first prompt are not taken over. Empty: the first pass's prompt and LoRAs. Default: ''. */
  readonly prompt?: string | undefined;
  /** Empty: the first pass's. Default: ''. */
  readonly negativePrompt?: string | undefined;
  readonly sampler?: Sampler | (string & {}) | undefined;
  readonly schedule?: Schedule | (string & {}) | undefined;
  /** 0..100. */
  readonly cfgScale?: number | undefined;
  /** Distilled guidance of FLUX-like models, 0..100. */
  readonly guidance?: number | undefined;
  /** 1..12. */
  readonly clipSkip?: number | undefined;
  /** 0..2^53-1; image i uses seed + i. Default: the seeds of the first pass. */
  readonly seed?: number | undefined;
  /** LoRAs of this pass, in place of the first's. */
  readonly loras?: readonly LoraInput[] | undefined;
  /** Checkpoint of this pass. It is loaded when its pass comes and kept while there is room. Default: the model itself. */
  readonly checkpoint?: string | URL | undefined;
  /**
   * VAE and text encoders of this pass. `same`: the first model's. `built-in`: what is inside the checkpoint. A list:
   * these files, and what is inside for the rest. Default: `built-in` with a checkpoint, else `same`.
   */
  readonly modules?: 'same' | 'built-in' | readonly (string | URL)[] | undefined;
  /** Takes over in the middle of this pass; that of the request belongs to the first. Default: none. */
  readonly refiner?: RefinerOptions | undefined;
  /** True: an upscaler of latents between two different latent spaces is an error. Default: false, a warning. */
  readonly strict?: boolean | undefined;
}

export interface Img2ImgRequest extends BaseRequest {
  /**
   * Start picture, brought to width x height by `resizeMode`. Width and height default to its own size rounded down to
   * the multiple; with inpaintArea 'only masked' to the model's default.
   */
  readonly image: ImageInput;
  /**
   * How a picture or mask of another shape comes to width x height: `stretch`; `crop`, which covers it and cuts off what
   * sticks out; `pad`, which fits into it and repeats its edge pixels around. Default: 'stretch'.
   */
  readonly resizeMode?: ResizeMode | undefined;
  /** How much of the picture is made anew, 0..1: floor(steps * strength) + 1 steps are run. Default: 0.75. */
  readonly denoisingStrength?: number | undefined;
}

export interface InpaintRequest extends Img2ImgRequest {
  /** White (> 127) is painted anew, black is kept; brought to width x height like the picture, with nearest neighbour. */
  readonly mask: ImageInput;
  /** Standard deviation of a Gaussian on the mask, pixels of the mask, 0..64, or one for each axis. Default: 0 (A1111: 4). */
  readonly maskBlur?: number | { readonly x: number; readonly y: number } | undefined;
  /** True: black is painted anew and white is kept. Default: false. */
  readonly maskInvert?: boolean | undefined;
  /**
   * What painting begins with inside the mask: the picture (`original`), blurred colours of what is around (`fill`), or
   * in the latent the noise of the seed (`latent noise`) or zeros (`latent nothing`). Default: 'original'.
   */
  readonly maskedContent?: MaskedContent | undefined;
  /**
   * `only masked`: the masked part with `maskedPadding` around it is cut out, painted at width x height, scaled back and
   * pasted; the result has the start picture's own size. Default: 'whole picture'.
   */
  readonly inpaintArea?: InpaintArea | undefined;
  /** Pixels of the start picture around the masked part, 0..8192, for inpaintArea 'only masked'. Default: 32. */
  readonly maskedPadding?: number | undefined;
  /**
   * True: the start picture is laid over the result where the mask is black, so that these pixels keep their bytes.
   * False: the result as it was decoded; of 'only masked' the part alone at width x height. Default: true when maskBlur,
   * maskInvert, maskedContent or inpaintArea is not at its default, else false, which gives sd-cli's bytes.
   */
  readonly pasteBack?: boolean | undefined;
}

/** A request of txt2img without the second pass. */
export type FirstPassRequest = Omit<Txt2ImgRequest, 'hires'>;

/** The second pass over pictures that are there: {@link HiresOptions}, and what every job has. */
export interface HiresRequest
  extends HiresOptions,
    Pick<
      BaseRequest,
      | 'tiling'
      | 'preview'
      | 'strictPrompt'
      | 'signal'
      | 'onProgress'
      | 'onPreview'
      | 'onWarning'
      | 'onQueue'
      | 'onModel'
    > {}

export interface FirstPassResult {
  /** In order of their seeds. */
  readonly images: readonly FirstPassImage[];
  readonly timings: JobTimings;
  readonly warnings: readonly JobWarning[];
}

/** Seconds spent in each part of a job. */
export interface JobTimings {
  readonly queued: number;
  /** Reading weights. */
  readonly load: number;
  /** Changing LoRAs in the weights. */
  readonly lora: number;
  readonly encode: number;
  readonly sample: number;
  /** Enlarging pictures between two passes. */
  readonly upscale: number;
  readonly decode: number;
  /** From start to end, without the wait in the queue. */
  readonly total: number;
}

export interface GenerateResult {
  /** In order of their seeds: seed, seed + 1, … */
  readonly images: readonly GeneratedImage[];
  readonly timings: JobTimings;
  /** What was done otherwise than asked for, to fit into memory, and parts of prompts that were not read; usually empty. */
  readonly warnings: readonly JobWarning[];
}
