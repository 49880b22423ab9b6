import { Latent, type Model } from '../../../lib/index.js';
import { drain, reason } from './settle.js';

const listener = (): void => undefined;
const live: AbortSignal = new AbortController().signal;
export const aborted: AbortSignal = AbortSignal.abort(reason);

/** Every field of a picture request, valid for an SD1 model. */
export const request: Readonly<Record<string, unknown>> = {
  prompt: 'a red apple',
  negativePrompt: 'blue',
  width: 64,
  height: 64,
  steps: 1,
  cfgScale: 2,
  sampler: 'euler',
  schedule: 'discrete',
  seed: 1,
  variationSeed: 2,
  variationStrength: 0.5,
  batchSize: 1,
  clipSkip: 1,
  eta: 0.5,
  guidance: 3.5,
  flowShift: undefined,
  sigmas: undefined,
  tiling: { tileSize: 8, overlap: 0.25 },
  stepCache: undefined,
  skipLayerGuidance: undefined,
  refiner: undefined,
  preview: { mode: 'projection', every: 1 },
  strictPrompt: false,
  signal: live,
  onProgress: listener,
  onPreview: listener,
  onWarning: listener,
  onQueue: listener,
};

/** Every field of a second pass but the files of another model, valid for an SD1 model and cheap. */
export const hires: Readonly<Record<string, unknown>> = {
  scale: 1,
  width: undefined,
  height: undefined,
  upscaler: 'latent',
  steps: 1,
  denoisingStrength: 0.5,
  prompt: 'a green apple',
  negativePrompt: 'red',
  sampler: 'euler',
  schedule: 'discrete',
  cfgScale: 1,
  guidance: 3.5,
  clipSkip: 1,
  seed: 2,
  loras: [],
  checkpoint: undefined,
  modules: 'same',
  refiner: undefined,
  strict: true,
};

const image = { width: 64, height: 64, channels: 3, data: new Uint8Array(64 * 64 * 3) };
const mask = { width: 64, height: 64, channels: 1, data: new Uint8Array(64 * 64).fill(255) };

/** Of a signal that is no option of what is given. */
const isAborted = (given: unknown): boolean => (given as { signal?: unknown } | null | undefined)?.signal === aborted;

export interface Call {
  readonly name: string;
  readonly valid: Readonly<Record<string, unknown>>;
  readonly run: (model: Model, given: never) => unknown;
}

/**
 * Every call of a model, with options that are valid.
 * @param refiner file of a checkpoint that can take over. Default: the model's own.
 */
export function modelCalls(model: Model, refiner = model.info.files.checkpoint): readonly Call[] {
  const latent = Latent.zeros(64, 64, model.latentSpace);
  const job = { signal: live, onProgress: listener, onQueue: listener };
  const painting = { ...request, image, denoisingStrength: 0.5, resizeMode: 'crop' };
  const inpainting = {
    ...{ ...painting, mask, maskBlur: { x: 2, y: 3 }, maskInvert: false, maskedContent: 'latent noise' },
    ...{ inpaintArea: 'only masked', maskedPadding: 8, pasteBack: true },
  };
  return [
    { name: 'txt2img', valid: { ...request, hires }, run: (m, given) => m.txt2img(given) },
    { name: 'img2img', valid: painting, run: (m, given) => m.img2img(given) },
    { name: 'inpaint', valid: inpainting, run: (m, given) => m.inpaint(given) },
    { name: 'txt2imgStream', valid: request, run: (m, given) => drain(m.txt2imgStream(given)) },
    { name: 'img2imgStream', valid: painting, run: (m, given) => drain(m.img2imgStream(given)) },
    { name: 'inpaintStream', valid: inpainting, run: (m, given) => drain(m.inpaintStream(given)) },
    {
      name: 'txt2img, hires',
      valid: hires,
      run: (m, given) =>
        m.txt2img((isAborted(given) ? { ...request, signal: aborted } : { ...request, hires: given }) as never),
    },
    {
      name: 'txt2img, refiner',
      valid: { checkpoint: refiner, switchAt: 0.5, switchBy: 'timesteps', modules: 'same' },
      run: (m, given) =>
        m.txt2img(
          (isAborted(given) ? { ...request, signal: aborted } : { ...request, steps: 2, refiner: given }) as never,
        ),
    },
    {
      name: 'txt2img, refiners of two passes',
      valid: { checkpoint: refiner, switchAt: 0.5, switchBy: 'steps', modules: 'same' },
      run: (m, given) => {
        if (isAborted(given)) return m.txt2img({ ...request, signal: aborted } as never);
        const second = { ...hires, steps: 2, denoisingStrength: 0.9, refiner: given };
        return m.txt2img({ ...request, steps: 2, refiner: given, hires: second } as never);
      },
    },
    { name: 'firstPass', valid: request, run: (m, given) => m.firstPass(given) },
    {
      name: 'hires',
      valid: { ...hires, ...job, tiling: false, preview: { every: 1 }, strictPrompt: false, onModel: listener },
      run: (m, given) => m.hires([image as never], given),
    },
    {
      name: 'hires images',
      valid: { image },
      run: (m, given) => {
        if (isAborted(given)) return m.hires([image as never], { signal: aborted, prompt: 'x' });
        const list: unknown = typeof given === 'object' && given !== null ? Object.values(given) : given;
        return m.hires(list as never, { prompt: 'x' });
      },
    },
    { name: 'plan', valid: { ...request, hires }, run: async (m, given) => (await m.plan(given)).explain() },
    {
      name: 'encodePrompt',
      valid: {
        prompt: 'a red apple',
        negativePrompt: '',
        clipSkip: 1,
        width: 64,
        height: 64,
        refImages: [],
        strictPrompt: true,
        ...job,
      },
      run: async (m, given) => {
        (await m.encodePrompt(given)).dispose();
      },
    },
    {
      name: 'sample',
      valid: {
        steps: 1,
        cfgScale: 1,
        sampler: 'euler',
        seed: 1,
        width: 64,
        height: 64,
        latent,
        noise: latent,
        denoisingStrength: 0.5,
        mask: new Float32Array(64).fill(1),
        refLatents: [],
        preview: { every: 1 },
        ...job,
      },
      run: async (m, given) => {
        using conditioning = await m.encodePrompt({ prompt: 'x', negativePrompt: null });
        const options: unknown =
          typeof given === 'object' && given !== null && !('conditioning' in given)
            ? { ...(given as object), conditioning }
            : given;
        return m.sample(options as never);
      },
    },
    {
      name: 'encodeImage',
      valid: { image, seed: 0, tiling: true, width: 64, height: 64, ...job },
      run: (m, given) => m.encodeImage(given),
    },
    { name: 'decodeLatent', valid: { latent, tiling: false, ...job }, run: (m, given) => m.decodeLatent(given) },
    {
      name: 'sigmas',
      valid: {
        steps: 4,
        schedule: 'karras',
        sampler: 'euler',
        width: 64,
        height: 64,
        flowShift: undefined,
        signal: live,
        onQueue: listener,
      },
      run: (m, given) => m.sigmas(given),
    },
    {
      name: 'countTokens options',
      valid: { signal: live, onQueue: listener },
      run: (m, given) => m.countTokens('a red apple', given),
    },
    { name: 'identity', valid: { signal: live }, run: (m, given) => m.identity(given) },
  ];
}

/** Every call of a runtime but `loadModel` and `dispose`, which are made with runtimes of their own. */
export function loadOptions(checkpoint: string): Readonly<Record<string, unknown>> {
  return {
    checkpoint,
    weightType: undefined,
    tensorTypeRules: undefined,
    convolutionType: 'f32',
    mmap: true,
    flashAttention: false,
    maxVram: 0,
    circular: { x: false, y: false },
    prediction: 'eps',
    device: 'CPU',
    threads: 1,
    rng: 'cuda',
    samplerRng: 'cpu',
    vaeDecodeOnly: false,
    taesdPreviewOnly: false,
    conditioningCacheBytes: 1000,
    signal: live,
    onProgress: listener,
  };
}
