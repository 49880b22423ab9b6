import type { NativeModelFiles } from '../native/index.js';
import { boolean, checkOptions, optional, signal as abortSignal } from '../options/index.js';
import type { ImageInput, InfotextModel } from '../image/index.js';
import type { WeightsDigest, WeightsMemory } from '../weights/index.js';
import {
  type Conditioning,
  countTokens,
  type CountTokensOptions,
  type DecodedImages,
  type DecodeLatentOptions,
  decodeLatent,
  type EncodeImageOptions,
  encodeImage,
  type EncodePromptOptions,
  encodePrompt,
  estimateRequest,
  type FirstPassImage,
  type FirstPassRequest,
  type FirstPassResult,
  type GenerateEvent,
  type GenerateResult,
  type HiresRequest,
  type Img2ImgRequest,
  type InpaintRequest,
  type JobQueue,
  type Latent,
  type LatentSpace,
  type MemoryEstimate,
  type ModelFacts,
  modeOf,
  type OpenSecond,
  type PipelineModel,
  planRequest,
  type QueueView,
  type RequestPlan,
  runFirstPass,
  runHires,
  runMode,
  sampleLatent,
  type SampleOptions,
  type SigmasOptions,
  sigmasOf,
  streamMode,
  type TokenCount,
  type Txt2ImgRequest,
} from '../pipeline/index.js';
import type { Assembled } from './assemble.js';
import { disposeAbort, disposedError, type DisposeOptions, freed } from './disposal.js';
import { identifyFiles } from './identity.js';
import { Loras } from './loras.js';
import { publicInfo } from './modelInfo.js';
import { type DigestOptions, releaseBackups, weightsDigest, weightsMemory } from './weights.js';
import type { Abandoned } from './tenant.js';
import type { ComponentIdentity, ModelInfo } from './types.js';

/** What a runtime hands to a model it has loaded. */
export interface ModelInit {
  readonly assembled: Assembled;
  readonly openSecond: OpenSecond;
  /** Nobody needs the weights any more but jobs of other models. */
  readonly abandon: () => Abandoned;
  readonly facts: ModelFacts;
  readonly files: NativeModelFiles;
  /** What captions say of the model; hashes are added when they become known. */
  readonly caption: InfotextModel;
  readonly onDispose: (model: Model) => void;
}

/**
 * A loaded model. Made by `runtime.loadModel`. Its jobs run one after the other in the order of the calls; two models
 * work at the same time. Every method rejects with `ERR_DISPOSED` after `dispose()`, and with exactly the signal's
 * reason when its signal is aborted.
 */
export class Model {
  readonly info: ModelInfo;
  /** The VAE space of this model's latents. */
  readonly latentSpace: LatentSpace;
  /** LoRAs in the weights. */
  readonly loras: Loras;
  /** Jobs that wait and run. */
  readonly queue: QueueView;
  readonly #pipeline: PipelineModel;
  readonly #queue: JobQueue;
  readonly #abandon: () => Abandoned;
  readonly #files: NativeModelFiles;
  readonly #onDispose: (model: Model) => void;
  #caption: InfotextModel;
  #disposed: Promise<Abandoned> | undefined;

  /**
   * Not for callers; use `runtime.loadModel`.
   * @internal
   */
  constructor(init: ModelInit) {
    const { assembled, openSecond, facts, files, caption, onDispose } = init;
    const { pipeline } = assembled;
    this.info = publicInfo(facts, files);
    this.latentSpace = facts.space;
    this.#files = files;
    this.#caption = caption;
    this.#onDispose = onDispose;
    this.#abandon = init.abandon;
    assembled.own({ describe: () => this.#caption, openSecond });
    this.#pipeline = pipeline;
    this.#queue = pipeline.queue;
    this.queue = this.#queue;
    this.loras = new Loras(this.#pipeline);
  }

  /** Makes pictures from a prompt. */
  txt2img(request: Txt2ImgRequest): Promise<GenerateResult> {
    return runMode(this.#pipeline, 'txt2img', request);
  }

  /** Makes pictures from a prompt and a start picture. */
  img2img(request: Img2ImgRequest): Promise<GenerateResult> {
    return runMode(this.#pipeline, 'img2img', request);
  }

  /** Paints the white part of a mask anew. */
  inpaint(request: InpaintRequest): Promise<GenerateResult> {
    return runMode(this.#pipeline, 'inpaint', request);
  }

  /** As {@link txt2img}, keeping the latents, so that {@link hires} can go on with the pictures that were picked. */
  firstPass(request: FirstPassRequest): Promise<FirstPassResult> {
    return runFirstPass(this.#pipeline, request);
  }

  /**
   * The second pass over pictures of {@link firstPass}, or over pictures that this package or A1111 has saved: prompt,
   * seed and settings are read from them. All must have been made by one request, but for the seed.
   * @throws DiffusionError `ERR_INVALID_OPTION` for a picture that does not say what it was made from, without a prompt.
   */
  hires(images: readonly (FirstPassImage | ImageInput)[], options: HiresRequest = {}): Promise<GenerateResult> {
    return runHires(this.#pipeline, images, options);
  }

  /** As {@link txt2img}, as a stream of the job's events. Leaving the loop aborts the job. */
  txt2imgStream(request: Txt2ImgRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    return streamMode(this.#pipeline, 'txt2img', request);
  }

  /** As {@link img2img}, as a stream. */
  img2imgStream(request: Img2ImgRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    return streamMode(this.#pipeline, 'img2img', request);
  }

  /** As {@link inpaint}, as a stream. */
  inpaintStream(request: InpaintRequest): AsyncGenerator<GenerateEvent, void, undefined> {
    return streamMode(this.#pipeline, 'inpaint', request);
  }

  /** Encodes prompts; what was encoded before comes from a cache. */
  encodePrompt(options: EncodePromptOptions): Promise<Conditioning> {
    return encodePrompt(this.#pipeline, options);
  }

  /**
   * Counts a prompt in tokens and chunks, one entry per text encoder of the model. Computes nothing, but waits its turn
   * in the queue.
   * @throws DiffusionError `ERR_INVALID_PROMPT`, `ERR_INVALID_OPTION`, `ERR_DISPOSED`; or the signal's reason.
   */
  countTokens(prompt: string, options: CountTokensOptions = {}): Promise<readonly TokenCount[]> {
    return countTokens(this.#pipeline, prompt, options);
  }

  /** Samples a latent. Inpaint, edit and control models get empty pictures here; use the picture modes for them. */
  sample(options: SampleOptions): Promise<Latent> {
    return sampleLatent(this.#pipeline, options);
  }

  /** A picture as a latent of batch 1. */
  encodeImage(options: EncodeImageOptions): Promise<Latent> {
    return encodeImage(this.#pipeline, options);
  }

  /** A latent as pictures, one for each of its batch. */
  decodeLatent(options: DecodeLatentOptions): Promise<DecodedImages> {
    return decodeLatent(this.#pipeline, options);
  }

  /**
   * The memory that a request would take, from the sizes of the engine's own graphs; nothing is computed. The mode is
   * that of the request's pictures: with `mask` inpaint, with `image` img2img. A shape is measured once.
   * @throws DiffusionError as the request itself, but for `ERR_OUT_OF_MEMORY`; or the signal's reason.
   */
  async estimate(request: Txt2ImgRequest | Img2ImgRequest | InpaintRequest): Promise<MemoryEstimate> {
    return estimateRequest(this.#pipeline, request);
  }

  /**
   * What a request will do, without doing it: models that are read, switched and dropped, LoRAs that are merged, steps,
   * memory. Files are found and their headers checked.
   * @throws DiffusionError as the request itself, but for `ERR_OUT_OF_MEMORY` of a job.
   */
  async plan(request: Txt2ImgRequest | Img2ImgRequest | InpaintRequest): Promise<RequestPlan> {
    return planRequest(this.#pipeline, request, modeOf(request));
  }

  /** Noise levels of a schedule: steps + 1 numbers, decreasing, the last 0. */
  sigmas(options: SigmasOptions = {}): Promise<Float32Array> {
    return sigmasOf(this.#pipeline, options);
  }

  /**
   * SHA-256 over the bytes of all weights in memory now, to prove that they are what was loaded.
   * @param options `perTensor`: the hash of every tensor as well.
   */
  weightsDigest(options: DigestOptions = {}): Promise<WeightsDigest> {
    return weightsDigest(this.#pipeline, options);
  }

  /**
   * Bytes of the weights by device, and beside them: graphs compiled by OpenVINO, and what LoRAs cost: backups by policy,
   * merged tensors that are kept, LoRA files.
   */
  memory(): Promise<WeightsMemory> {
    return weightsMemory(this.#pipeline);
  }

  /**
   * Frees merged tensors that are kept, and backups in memory where the checkpoint's file still has the same bytes.
   * @returns bytes freed.
   */
  releaseBackups(): Promise<number> {
    return releaseBackups(this.#pipeline);
  }

  /**
   * SHA-256 of the model's files. Afterwards captions carry the checkpoint's hash.
   * @throws DiffusionError `ERR_MODEL_NOT_FOUND` when a file has gone.
   */
  async identity(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<readonly ComponentIdentity[]> {
    const { signal } = checkOptions('identity', options, { signal: optional(abortSignal()) });
    const identities = await identifyFiles(this.#files, signal);
    const hashOf = (role: string): string | undefined =>
      identities.find((entry) => entry.role === role)?.sha256.slice(0, 10);
    const modelHash = hashOf('diffusionModel') ?? hashOf('checkpoint');
    const vaeHash = hashOf('vae');
    this.#caption = {
      ...this.#caption,
      ...(modelHash === undefined ? {} : { modelHash }),
      ...(vaeHash === undefined ? {} : { vaeHash }),
    };
    return identities;
  }

  /**
   * Waits for the running job, or aborts it on request, rejects the waiting ones with `ERR_DISPOSED`, then frees the
   * weights. A job of another model that works with them, as hires checkpoint or refiner, keeps them until it has done
   * so: it is waited for, but not with `abort`, which leaves it alone. May be called again; the later call can still
   * abort.
   */
  async dispose(options: DisposeOptions = {}): Promise<void> {
    const { abort } = checkOptions('dispose', options, { abort: boolean({ default: false }) });
    const closed = this.#queue.close(
      () => disposedError('model', 'Load it again with runtime.loadModel.'),
      abort ? disposeAbort('model') : undefined,
    );
    this.#disposed ??= closed.then(() => {
      this.#pipeline.cache.clear();
      const abandoned = this.#abandon();
      this.#onDispose(this);
      return abandoned;
    });
    const { inUse, gone } = await this.#disposed;
    if (inUse && abort) return;
    await freed(gone);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
