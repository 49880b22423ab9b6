import { basename, extname } from 'node:path';
import { invalidOption } from '../../errors/index.js';
import { checker, type Checker, didYouMean, filePath, integer, nearest, object } from '../../options/index.js';
import type { LatentFilter, LatentMode } from './latentResize.js';
import type { PixelFilter } from './pixelResize.js';

/** Enlarges the latent of the first pass; nothing is decoded. Both passes must share a latent space. */
export interface LatentUpscaler {
  readonly kind: 'latent';
  readonly name: LatentUpscalerName;
  readonly label: string;
  readonly mode: LatentMode;
}

/** Enlarges the picture of the first pass with a filter. */
export interface PixelUpscaler {
  readonly kind: 'pixel';
  readonly name: PixelFilter;
  readonly label: string;
  readonly filter: PixelFilter;
}

/** Enlarges the picture of the first pass with an ESRGAN model. */
export interface ModelUpscaler {
  readonly kind: 'model';
  /** The file's name without its extension, also the label. */
  readonly name: string;
  readonly label: string;
  /** Absolute path. */
  readonly file: string;
  /** Pixels. */
  readonly tileSize: number;
}

export type HiresUpscaler = LatentUpscaler | PixelUpscaler | ModelUpscaler;

export type LatentUpscalerName =
  | 'latent'
  | 'latent-antialiased'
  | 'latent-bicubic'
  | 'latent-bicubic-antialiased'
  | 'latent-nearest'
  | 'latent-nearest-exact';

export type UpscalerName = LatentUpscalerName | PixelFilter;

/** An ESRGAN model. */
export interface UpscalerFile {
  /** A path or a `file:` URL. */
  readonly file: string | URL;
  /** Pixels of a side, 16..4096. Default: 128. */
  readonly tileSize?: number | undefined;
}

/** A name (A1111's labels serve as well), the path of an ESRGAN model, or the model with its tile size. */
export type UpscalerInput = UpscalerName | (string & {}) | URL | UpscalerFile;

/** One of {@link listUpscalers}. */
export interface UpscalerInfo {
  readonly name: UpscalerName;
  /** A1111's name, as infotext has it. */
  readonly label: string;
  readonly kind: 'latent' | 'pixel';
}

type NamedUpscaler = LatentUpscaler | PixelUpscaler;

const latent = (name: LatentUpscalerName, label: string, filter: LatentFilter, antialias = false): LatentUpscaler =>
  Object.freeze({ kind: 'latent', name, label, mode: Object.freeze({ filter, antialias }) });
const pixel = (name: PixelFilter, label: string): PixelUpscaler =>
  Object.freeze({ kind: 'pixel', name, label, filter: name });

/** In A1111's order and with its labels (`latent_upscale_modes` of `modules/shared_items.py`, `modules/upscaler.py`). */
const named: readonly NamedUpscaler[] = [
  latent('latent', 'Latent', 'bilinear'),
  latent('latent-antialiased', 'Latent (antialiased)', 'bilinear', true),
  latent('latent-bicubic', 'Latent (bicubic)', 'bicubic'),
  latent('latent-bicubic-antialiased', 'Latent (bicubic antialiased)', 'bicubic', true),
  latent('latent-nearest', 'Latent (nearest)', 'nearest'),
  latent('latent-nearest-exact', 'Latent (nearest-exact)', 'nearest-exact'),
  pixel('lanczos', 'Lanczos'),
  pixel('bicubic', 'Bicubic'),
  pixel('nearest', 'Nearest'),
];

/** SD.Next's names of latent modes, and A1111's `None`, which resizes with Lanczos. Keys as {@link keyOf} has them. */
const aliases: Readonly<Record<string, UpscalerName>> = {
  latentbilinear: 'latent',
  latentbilinearantialias: 'latent-antialiased',
  latentbilinearantialiased: 'latent-antialiased',
  latentbicubicantialias: 'latent-bicubic-antialiased',
  none: 'lanczos',
};

/** Upper case, spaces, hyphens, underscores and brackets do not tell names apart. */
function keyOf(name: string): string {
  return name.toLowerCase().replace(/[\s_()-]/g, '');
}

const byName: ReadonlyMap<string, NamedUpscaler> = new Map(named.map((entry) => [entry.name, entry]));
const byKey: ReadonlyMap<string, NamedUpscaler> = new Map([
  ...named.map((entry) => [keyOf(entry.name), entry] as const),
  ...Object.entries(aliases).flatMap(([key, name]) => {
    const entry = byName.get(name);
    return entry === undefined ? [] : [[key, entry] as const];
  }),
]);

const infos: readonly UpscalerInfo[] = Object.freeze(
  named.map(({ name, label, kind }) => Object.freeze({ name, label, kind })),
);

/** The upscalers that need no model file. ESRGAN models are named by their file. */
export function listUpscalers(): readonly UpscalerInfo[] {
  return infos;
}

const looksLikePath = /[\\/]|\.(?:pth|pt|ckpt|bin|safetensors|sft|gguf)$/i;
const modelNames = /esrgan|^\d+x[-_ ]|ultrasharp/i;
const foreignNames = /^(?:swinir|scunet|ldsr|dat|hat|drct|span|compact)(?![a-z])/i;

const allowed = `one of ${named.map(({ name }) => name).join(', ')}, or the path of an ESRGAN model`;
const fileSpec = object({ file: filePath(), tileSize: integer({ min: 16, max: 4096, default: 128 }) });

/**
 * The upscaler that a caller means.
 * @throws DiffusionError `ERR_INVALID_OPTION` for names that are none, with the nearest; for upscalers of A1111 that
 *   are model files, saying to name the file; for models that the engine cannot run. Whether a file is there and is a
 *   model is not looked at; see `checkUpscalerFile`.
 */
export function resolveUpscaler(value: unknown, field = 'hires.upscaler'): HiresUpscaler {
  if (value instanceof URL) return modelUpscaler(fileSpec.check({ file: value }, field));
  if (typeof value === 'object' && value !== null) return modelUpscaler(fileSpec.check(value, field));
  if (typeof value !== 'string' || value.trim() === '') throw invalidOption(field, value, allowed);
  const key = keyOf(value);
  const found = byKey.get(key);
  if (found !== undefined) return found;
  if (looksLikePath.test(value)) return modelUpscaler({ file: filePath().check(value, field), tileSize: 128 });
  throw invalidOption(field, value, allowed, adviceFor(value, key));
}

function adviceFor(value: string, key: string): string | undefined {
  if (modelNames.test(value)) {
    return 'That is a model: give its file, for example { file: "models/RealESRGAN_x4plus.pth" }.';
  }
  if (foreignNames.test(value)) return 'The engine runs ESRGAN models only: give the file of one, or use "lanczos".';
  const near = nearest(key, [...byKey.keys()]);
  return didYouMean(near === undefined ? undefined : byKey.get(near)?.name);
}

function modelUpscaler({ file, tileSize }: { readonly file: string; readonly tileSize: number }): ModelUpscaler {
  const name = basename(file, extname(file));
  return Object.freeze({ kind: 'model', name, label: name, file, tileSize });
}

/** Checker of an upscaler in a request; see {@link resolveUpscaler}. */
export function upscalerOption(): Checker<HiresUpscaler, UpscalerInput> {
  return checker(allowed, resolveUpscaler);
}
