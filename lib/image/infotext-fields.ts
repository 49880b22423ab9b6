import { invalidOption } from '../errors/index.js';
import { readNumber, strengthKey } from './infotext-values.js';
import type { InfotextHires } from './infotext-hires.js';
import type { InfotextRefiner } from './infotext-refiner.js';
import {
  type EngineRng,
  type InpaintArea,
  isAutomatic,
  type MaskedContent,
  type ResizeMode,
  resolveSampler,
  resolveSchedule,
  rngAliases,
  rngs,
  type Sampler,
  samplerLabels,
  type Schedule,
  scheduleLabels,
  type SkipLayerGuidance,
  type StepCacheOptions,
  type TilingOptions,
  labelOf,
} from '../options/index.js';
import { maskFields, pictureFields } from './infotext-painting.js';

/**
 * What infotext says about a request, by our option names. Nested options are as the text has them; the request that
 * they become a part of checks them.
 */
export interface InfotextRequest {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly steps?: number;
  readonly sampler?: Sampler;
  readonly schedule?: Schedule;
  readonly cfgScale?: number;
  readonly imageCfgScale?: number;
  readonly guidance?: number;
  readonly seed?: number;
  readonly width?: number;
  readonly height?: number;
  readonly variationSeed?: number;
  readonly variationStrength?: number;
  /** Of img2img and inpaint; txt2img has none. */
  readonly denoisingStrength?: number;
  readonly resizeMode?: ResizeMode;
  /** This and the next five: of inpaint only. */
  readonly maskBlur?: number | { readonly x: number; readonly y: number };
  readonly maskInvert?: boolean;
  readonly maskedContent?: MaskedContent;
  readonly inpaintArea?: InpaintArea;
  readonly maskedPadding?: number;
  readonly pasteBack?: boolean;
  readonly clipSkip?: number;
  readonly eta?: number;
  readonly flowShift?: number;
  readonly sigmas?: readonly number[];
  readonly skipLayerGuidance?: SkipLayerGuidance;
  readonly stepCache?: StepCacheOptions;
  readonly controlStrength?: number;
  readonly tiling?: boolean | TilingOptions;
  readonly refiner?: InfotextRefiner;
  /** The second pass; txt2img only. */
  readonly hires?: InfotextHires;
}

/** What infotext says about the model and the program, which are no options of a request. */
export interface InfotextModel {
  /** File name without extension. */
  readonly model?: string;
  /** First 10 hex digits of the SHA-256, as A1111 shows them. */
  readonly modelHash?: string;
  readonly vae?: string;
  readonly vaeHash?: string;
  /** A1111's `GPU` and `NV` are `cuda`. */
  readonly rng?: EngineRng;
  readonly samplerRng?: EngineRng;
  readonly weightType?: string;
  readonly convolutionType?: string;
  /** Both axes tile seamlessly (A1111's `Tiling`). */
  readonly circular?: boolean;
  /** Program and version: `node-diffusion 0.1.0`, `v1.10.1`. */
  readonly generator?: string;
}

type Values = Omit<InfotextRequest, 'prompt' | 'negativePrompt' | 'width' | 'height' | 'hires' | 'refiner'> &
  InfotextModel;

/**
 * How one value is written and read. `read` throws `ERR_INVALID_OPTION` naming `field`; undefined means "not set".
 * The types of the values are those of `name` in {@link InfotextRequest} and {@link InfotextModel}.
 */
export interface Field {
  readonly name: keyof Values;
  /** Key in the text. */
  readonly key: string;
  write(value: unknown): string | undefined;
  read(text: string, field: string): unknown;
}

function numeric(name: Field['name'], key: string): Field {
  return {
    name,
    key,
    write: (value) => (typeof value === 'number' && Number.isFinite(value) ? String(value) : undefined),
    read: readNumber,
  };
}

function textual(name: Field['name'], key: string): Field {
  return { name, key, write: String, read: (text) => text };
}

/** `True` for true (Python's spelling), JSON for the rest. */
function json(name: Field['name'], key: string): Field {
  return {
    name,
    key,
    write: (value) => {
      if (typeof value === 'boolean') return value ? 'True' : undefined;
      return JSON.stringify(value instanceof Float32Array ? [...value] : value);
    },
    read: (text, field) => {
      if (text === 'True') return true;
      try {
        const value: unknown = JSON.parse(text);
        if (typeof value === 'object' && value !== null && Array.isArray(value) === (name === 'sigmas')) return value;
      } catch {
        // falls through to the error below, which says more
      }
      throw invalidOption(field, text, name === 'sigmas' ? 'a JSON array' : 'a JSON object');
    },
  };
}

/** A1111's option "Random number generator source": GPU (left out), CPU, NV (philox on any device). */
const rngLabels: Readonly<Record<EngineRng, string>> = { cuda: 'NV', cpu: 'CPU', std_default: 'std' };

function generator(name: Field['name'], key: string): Field {
  return {
    name,
    key,
    write: (value) => labelOf(rngLabels, value),
    read: (text, field) => {
      const lower = text.toLowerCase();
      const found =
        rngs.find((rng) => rng === lower) ?? (Object.hasOwn(rngAliases, lower) ? rngAliases[lower] : undefined);
      if (found === undefined) throw invalidOption(field, text, 'CPU, GPU, NV or std');
      return found;
    },
  };
}

const sampler: Field = {
  name: 'sampler',
  key: 'Sampler',
  write: (value) => labelOf(samplerLabels, value),
  read: (text, field) => resolveSampler(text, field).sampler,
};

const schedule: Field = {
  name: 'schedule',
  key: 'Schedule type',
  write: (value) => labelOf(scheduleLabels, value),
  read: (text, field) => (isAutomatic(text) ? undefined : resolveSchedule(text, field)),
};

const circular: Field = {
  name: 'circular',
  key: 'Tiling',
  write: (value) => (value === true ? 'True' : undefined),
  read: (text) => text.toLowerCase() === 'true',
};

/** Key of width and height, `512x768`. */
export const sizeKey = 'Size';

/** Fields before `Size` in A1111's order. */
export const fieldsBeforeSize: readonly Field[] = [
  numeric('steps', 'Steps'),
  sampler,
  schedule,
  numeric('cfgScale', 'CFG scale'),
  numeric('guidance', 'Distilled CFG Scale'),
  numeric('imageCfgScale', 'Image CFG scale'),
  numeric('seed', 'Seed'),
];

/** Fields after it. Those A1111 has none of come last, under keys in its style. */
export const fieldsAfterSize: readonly Field[] = [
  textual('modelHash', 'Model hash'),
  textual('model', 'Model'),
  textual('vaeHash', 'VAE hash'),
  textual('vae', 'VAE'),
  numeric('variationSeed', 'Variation seed'),
  numeric('variationStrength', 'Variation seed strength'),
  numeric('denoisingStrength', strengthKey),
  numeric('clipSkip', 'Clip skip'),
  generator('rng', 'RNG'),
  circular,
  ...maskFields,
  ...pictureFields,
  numeric('eta', 'Eta'),
  numeric('flowShift', 'Shift'),
  generator('samplerRng', 'Sampler RNG'),
  numeric('controlStrength', 'Control strength'),
  json('skipLayerGuidance', 'Skip layer guidance'),
  json('stepCache', 'Step cache'),
  json('tiling', 'VAE tiling'),
  json('sigmas', 'Sigmas'),
  textual('weightType', 'Weight type'),
  textual('convolutionType', 'Convolution type'),
];

/** Fields that are about the model and the program, not the request. */
export const modelNames: ReadonlySet<Field['name']> = new Set([
  'model',
  'modelHash',
  'vae',
  'vaeHash',
  'rng',
  'samplerRng',
  'weightType',
  'convolutionType',
  'circular',
  'generator',
] satisfies (keyof InfotextModel)[]);

/** The last key, as in A1111. */
export const generatorField = textual('generator', 'Version');
