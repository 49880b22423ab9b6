import { invalidOption } from '../../errors/index.js';
import type { LoadModelOptions } from '../../sdk/types.js';
import type { HiresOptions, Img2ImgRequest, TilingOptions } from '../../pipeline/index.js';

/** What sd-cli has of loading: files as paths, and the options that it knows too. */
export type SdCliLoad = Omit<
  LoadModelOptions,
  'signal' | 'onProgress' | 'conditioningCacheBytes' | 'vaeDecodeOnly' | 'convolutionType'
>;

/**
 * A load as sd-cli is asked for it, without what is of no matter there: its cache of prompts, events.
 * @throws DiffusionError `ERR_INVALID_OPTION` for what sd-cli does not have.
 */
export function sdCliLoad(load: LoadModelOptions): SdCliLoad {
  const { signal: _, onProgress: __, conditioningCacheBytes: ___, vaeDecodeOnly: ____, ...rest } = load;
  const { convolutionType, ...known } = rest;
  if (convolutionType !== undefined && convolutionType !== 'f16') {
    throw invalidOption('convolutionType', convolutionType, 'f16 with sd-cli, which has no other');
  }
  argsOf(loadFlags, known);
  return known;
}

/** What sd-cli has of a second pass. It is the first's in everything else. */
export type SdCliHires = Pick<HiresOptions, 'scale' | 'width' | 'height' | 'steps' | 'denoisingStrength'> & {
  /** A1111's label. */
  readonly upscaler: string;
};

/** What sd-cli has of a request, but for pictures. */
export type SdCliRequest = Omit<
  Img2ImgRequest,
  | 'image'
  | 'refImages'
  | 'controlImage'
  | 'loras'
  | 'refiner'
  | 'signal'
  | 'onProgress'
  | 'onPreview'
  | 'onQueue'
  | 'preview'
  | 'tiling'
  | 'sigmas'
  | 'strictPrompt'
  | 'onWarning'
  | 'onModel'
  // sd-cli has none of these.
  | 'resizeMode'
  | 'variationSeed'
  | 'variationStrength'
> & {
  readonly sigmas?: readonly number[];
  readonly tiling?: TilingOptions;
  /** Of txt2img. */
  readonly hires?: SdCliHires;
};

type Flags<T> = { readonly [K in keyof Required<T>]: (value: NonNullable<T[K]>) => readonly string[] };

const text =
  (name: string) =>
  (value: string | number | URL): readonly string[] => [name, String(value)];
const flag =
  (name: string) =>
  (value: boolean): readonly string[] =>
    value ? [name] : [];
const none = (): readonly string[] => [];

/** The type asks for every option of ours, so a new one cannot be left out in silence. */
const loadFlags: Flags<SdCliLoad> = {
  checkpoint: text('--model'),
  diffusionModel: text('--diffusion-model'),
  vae: text('--vae'),
  taesd: text('--taesd'),
  clipL: text('--clip_l'),
  clipG: text('--clip_g'),
  clipVision: text('--clip_vision'),
  t5xxl: text('--t5xxl'),
  llm: text('--llm'),
  llmVision: text('--llm_vision'),
  controlNet: text('--control-net'),
  weightType: text('--type'),
  tensorTypeRules: (rules) => [
    '--tensor-type-rules',
    typeof rules === 'string'
      ? rules
      : Object.entries(rules)
          .map((rule) => rule.join('='))
          .join(),
  ],
  mmap: flag('--mmap'),
  flashAttention: flag('--fa'),
  diffusionConvDirect: flag('--diffusion-conv-direct'),
  vaeConvDirect: flag('--vae-conv-direct'),
  textEncoderOnCpu: flag('--clip-on-cpu'),
  vaeOnCpu: flag('--vae-on-cpu'),
  controlNetOnCpu: flag('--control-net-cpu'),
  offloadToCpu: flag('--offload-to-cpu'),
  maxVram: text('--max-vram'),
  circular: (value) => {
    const { x = false, y = false } = typeof value === 'boolean' ? { x: value, y: value } : value;
    return [...(x ? ['--circularx'] : []), ...(y ? ['--circulary'] : [])];
  },
  prediction: text('--prediction'),
  device: none,
  threads: text('--threads'),
  rng: text('--rng'),
  samplerRng: text('--sampler-rng'),
  taesdPreviewOnly: flag('--taesd-preview-only'),
  loraMode: none,
  loraBackup: none,
  loraCacheBytes: none,
};

const hiresFlags: Flags<SdCliHires> = {
  upscaler: text('--hires-upscaler'),
  scale: text('--hires-scale'),
  width: text('--hires-width'),
  height: text('--hires-height'),
  steps: text('--hires-steps'),
  denoisingStrength: text('--hires-denoising-strength'),
};

const requestFlags: Flags<SdCliRequest> = {
  prompt: text('--prompt'),
  negativePrompt: text('--negative-prompt'),
  width: text('--width'),
  height: text('--height'),
  steps: text('--steps'),
  cfgScale: text('--cfg-scale'),
  sampler: text('--sampling-method'),
  schedule: text('--scheduler'),
  seed: text('--seed'),
  batchSize: text('--batch-count'),
  clipSkip: text('--clip-skip'),
  eta: text('--eta'),
  imageCfgScale: text('--img-cfg-scale'),
  guidance: text('--guidance'),
  flowShift: text('--flow-shift'),
  skipLayerGuidance: ({ layers = [7, 8, 9], start = 0.01, end = 0.2, scale = 2.5 }) => [
    ...['--skip-layers', `[${layers.join()}]`, '--slg-scale', String(scale)],
    ...['--skip-layer-start', String(start), '--skip-layer-end', String(end)],
  ],
  sigmas: (sigmas) => ['--sigmas', sigmas.join()],
  tiling: ({ tileSize = 32, overlap = 0.5 }) => {
    const { x, y } = typeof tileSize === 'number' ? { x: tileSize, y: tileSize } : tileSize;
    return ['--vae-tiling', '--vae-tile-size', `${String(x)}x${String(y)}`, '--vae-tile-overlap', String(overlap)];
  },
  controlStrength: text('--control-strength'),
  stepCache: ({ mode, threshold, start = 0.15, end = 0.95 }) => [
    ...['--cache-mode', mode, '--cache-option'],
    [
      `start=${String(start)}`,
      `end=${String(end)}`,
      ...(threshold === undefined ? [] : [`threshold=${String(threshold)}`]),
    ].join(),
  ],
  denoisingStrength: text('--strength'),
  hires: (hires) => ['--hires', ...argsOf(hiresFlags, hires)],
};

function argsOf<T extends object>(flags: Flags<T>, options: T): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const toArgs = (flags as Readonly<Record<string, (given: unknown) => readonly string[]>>)[name];
    if (value === undefined) return [];
    if (toArgs === undefined) throw invalidOption(name, value, 'nothing with sd-cli, which has no such option');
    return [...toArgs(value)];
  });
}

/** The arguments of sd-cli for a model and a request. */
export function sdCliFlags(load: SdCliLoad, request: SdCliRequest): string[] {
  return [...argsOf(loadFlags, load), ...argsOf(requestFlags, request)];
}
