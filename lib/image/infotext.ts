import { DiffusionError, invalidOption } from '../errors/index.js';
import {
  boolean,
  checkOptions,
  filePath,
  func,
  oneOf,
  optional,
  type PassMode,
  recordOf,
  resolveSampler,
  union,
} from '../options/index.js';
import {
  type Field,
  fieldsAfterSize,
  fieldsBeforeSize,
  generatorField,
  modelNames,
  type InfotextModel,
  type InfotextRequest,
  sizeKey,
} from './infotext-fields.js';
import { hiresPairs, isHiresKey, readHires } from './infotext-hires.js';
import type { InfotextFiles } from './infotext-names.js';
import { isRefinerKey, readRefiners, refinerPairs } from './infotext-refiner.js';
import { maskFields, maskKeys, pictureFields } from './infotext-painting.js';
import { readSize, strengthKey } from './infotext-values.js';
import { formatInfotext, isInfotextKey, type ParsedInfotext, parseInfotext } from './infotext-syntax.js';

/** Everything infotext is written from. Fields that are left out, or NaN, are not written. */
export interface InfotextParams
  extends Omit<InfotextRequest, 'sigmas' | 'negativePrompt' | 'skipLayerGuidance' | 'stepCache' | 'tiling'>,
    InfotextModel {
  readonly negativePrompt?: string;
  readonly steps: number;
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  readonly sigmas?: readonly number[] | Float32Array;
  readonly skipLayerGuidance?: object;
  readonly stepCache?: object;
  readonly tiling?: boolean | object;
  /** Further pairs, e.g. `{ 'Init image hash': '…' }`. Keys: letters, digits, `_`, `-`, `/` and spaces. */
  readonly extra?: Readonly<Record<string, string | number | boolean>>;
}

const allFields = [...fieldsBeforeSize, ...fieldsAfterSize, generatorField];
const modelFields = allFields.filter((field) => modelNames.has(field.name));
const requestFields = allFields.filter((field) => !modelNames.has(field.name));
const knownKeys: ReadonlySet<string> = new Set([
  ...allFields.map((field) => field.key),
  sizeKey,
  'Prompt',
  'Negative prompt',
]);

/**
 * A1111's text of a request: prompt, negative prompt, and `Steps: 20, Sampler: Euler a, Schedule type: Karras, …,
 * Version: …`. {@link infotextToRequest} gives the same request back.
 * @throws DiffusionError `ERR_INVALID_OPTION` for a key of `extra` that cannot be read back or is written anyway.
 */
export function buildInfotext(params: InfotextParams): string {
  checkTexts(params);
  const pairs: [string, string][] = [];
  const { hires } = params;
  const add = (fields: readonly Field[]): void => {
    for (const field of fields) {
      // Of a text with a hires pass the strength is that of this pass.
      const own = field.key === strengthKey ? hires?.denoisingStrength : undefined;
      const value = own ?? params[field.name];
      const text = value === undefined ? undefined : written(field, value);
      if (text !== undefined) pairs.push([field.key, text]);
    }
  };
  add(fieldsBeforeSize);
  pairs.push([sizeKey, `${String(params.width)}x${String(params.height)}`]);
  add(fieldsAfterSize);
  if (hires !== undefined) pairs.push(...hiresPairs(hires));
  pairs.push(...refinerPairs(params.refiner, hires?.refiner, hires !== undefined));
  for (const [key, value] of Object.entries(params.extra ?? {})) {
    if (!isInfotextKey(key) || knownKeys.has(key) || isHiresKey(key) || isRefinerKey(key)) {
      throw invalidOption(`extra.${key}`, key, 'an unused name of letters, digits, spaces, "_", "-" and "/"');
    }
    pairs.push([key, typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value)]);
  }
  add([generatorField]);
  return formatInfotext(params.prompt, params.negativePrompt ?? '', pairs);
}

export interface FromInfotextOptions {
  /** False: values that this engine cannot follow (a sampler it lacks, `Steps: many`) are left out. Default: true. */
  readonly strict?: boolean;
  /** The mode that the request is for; what it does not take is left out. Default: the one that made the picture. */
  readonly mode?: PassMode;
  /**
   * Where the files are that a text names: hires checkpoint, refiner, modules, upscaler models. Texts have names and no
   * paths; without an entry the file of a checkpoint or module is an error, or left out when `strict` is false.
   */
  readonly files?: InfotextFiles;
}

/**
 * The mode that made a picture: `inpaint` when the text speaks of a mask, `img2img` when it has a strength that is not
 * that of a hires pass, else `txt2img`.
 */
export function infotextToMode(infotext: string | ParsedInfotext): PassMode {
  const { parameters } = typeof infotext === 'string' ? parseInfotext(infotext) : infotext;
  if (maskKeys.some((key) => Object.hasOwn(parameters, key))) return 'inpaint';
  const hires = Object.keys(parameters).some(isHiresKey);
  return Object.hasOwn(parameters, strengthKey) && !hires ? 'img2img' : 'txt2img';
}

/** Options of start pictures, which txt2img has not. */
export type PictureOption = 'denoisingStrength' | 'resizeMode';
/** Options of masks, which img2img has not. */
export type MaskOption = 'maskBlur' | 'maskInvert' | 'maskedContent' | 'inpaintArea' | 'maskedPadding' | 'pasteBack';

/**
 * The request that infotext describes, by our option names, for the mode that made the picture ({@link infotextToMode})
 * or the one of the options: what it gives for a picture of txt2img is a request for txt2img. img2img and inpaint take
 * their pictures beside it. What the text does not say is left out. That includes `Clip skip`: A1111 leaves it out for
 * "as the model likes it", which is 1 for SD1 but 2 for SD2 and SDXL here.
 * @throws DiffusionError `ERR_INVALID_OPTION` naming `infotext.<key>`, unless `strict` is false.
 */
export function infotextToRequest(
  infotext: string | ParsedInfotext,
  options: FromInfotextOptions & { readonly mode: 'txt2img' },
): Omit<InfotextRequest, PictureOption | MaskOption>;
export function infotextToRequest(
  infotext: string | ParsedInfotext,
  options: FromInfotextOptions & { readonly mode: 'img2img' },
): Omit<InfotextRequest, MaskOption | 'hires'>;
export function infotextToRequest(infotext: string | ParsedInfotext, options?: FromInfotextOptions): InfotextRequest;
export function infotextToRequest(
  infotext: string | ParsedInfotext,
  options: FromInfotextOptions = {},
): InfotextRequest {
  const parsed = parsedOf(infotext);
  const made = infotextToMode(parsed);
  const checked = checkOptions('infotextToRequest', options, {
    strict: boolean({ default: true }),
    mode: optional(oneOf(passModes)),
    files: optional(filesOption),
  });
  const { strict, mode = made, files } = checked;
  const reading = <T>(read: () => T): T | undefined => attempt(strict, read);
  const request = readFields(parsed, requestFields, strict);
  // Of A1111's hires fix the strength belongs to the second pass, not to the request.
  if (mode === 'txt2img' || made === 'txt2img') delete request.denoisingStrength;
  if (mode === 'txt2img') leaveOut(request, pictureFields);
  if (mode !== 'inpaint') leaveOut(request, maskFields);
  const given = parsed.parameters[sizeKey];
  const size = given === undefined ? undefined : attempt(strict, () => readSize(given, sizeKey));
  const schedule = request.schedule ?? attempt(strict, () => scheduleOfSampler(parsed.parameters));
  const second = readHires(parsed.parameters, reading, files, schedule);
  const refiners = readRefiners(parsed.parameters, second !== undefined, files, reading);
  const hires =
    second === undefined || mode !== 'txt2img'
      ? undefined
      : { ...second, ...(refiners.second === undefined ? {} : { refiner: refiners.second }) };
  return {
    prompt: parsed.prompt,
    negativePrompt: parsed.negativePrompt,
    ...request,
    ...(schedule === undefined ? {} : { schedule }),
    ...size,
    ...(refiners.first === undefined ? {} : { refiner: refiners.first }),
    ...(hires === undefined ? {} : { hires }),
  };
}

/** The model and the program that infotext names. Values that make no sense are left out. */
export function infotextToModel(infotext: string | ParsedInfotext): InfotextModel {
  const parsed = parsedOf(infotext);
  return readFields(parsed, modelFields, false);
}

function leaveOut(request: Values, fields: readonly Field[]): void {
  for (const { name } of fields) Reflect.deleteProperty(request, name);
}

function checkTexts(given: unknown): void {
  if (typeof given !== 'object' || given === null) throw invalidOption('params', given, 'an object with the request');
  const { prompt, negativePrompt, width, height, extra } = given as Record<string, unknown>;
  if (typeof prompt !== 'string') throw invalidOption('prompt', prompt, 'a string');
  if (negativePrompt !== undefined && typeof negativePrompt !== 'string')
    throw invalidOption('negativePrompt', negativePrompt, 'a string');
  for (const [name, size] of Object.entries({ width, height }))
    if (typeof size !== 'number') throw invalidOption(name, size, 'a number of pixels');
  if (extra === undefined) return;
  if (typeof extra !== 'object' || extra === null) throw invalidOption('extra', extra, 'an object of further pairs');
  for (const [key, value] of Object.entries(extra)) {
    if (!['string', 'number', 'boolean'].includes(typeof value))
      throw invalidOption(`extra.${key}`, value, 'a string, a number or a boolean');
  }
}

function parsedOf(given: unknown): ParsedInfotext {
  if (typeof given === 'string') return parseInfotext(given);
  const { prompt, negativePrompt, parameters } = (given ?? {}) as Record<string, unknown>;
  const texts =
    typeof parameters === 'object' &&
    parameters !== null &&
    Object.values(parameters).every((text) => typeof text === 'string');
  if (typeof prompt === 'string' && typeof negativePrompt === 'string' && texts) return given as ParsedInfotext;
  throw invalidOption('infotext', given, 'a string, or what parseInfotext returns');
}

/** A value that only the wrong type can make a writer fail on. */
function written(field: Field, value: unknown): string | undefined {
  try {
    return field.write(value);
  } catch {
    throw invalidOption(field.name, value, 'a value as a request has it');
  }
}

const filesOption = union([recordOf(filePath()), func<(name: string) => string | undefined>()], (value) =>
  typeof value === 'function' ? 1 : 0,
);

const passModes = ['txt2img', 'img2img', 'inpaint'] as const satisfies readonly PassMode[];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

type Values = Mutable<Omit<InfotextRequest, 'prompt' | 'negativePrompt' | 'hires' | 'refiner'> & InfotextModel>;

function readFields(parsed: ParsedInfotext, fields: readonly Field[], strict: boolean): Values {
  const values: Record<string, unknown> = {};
  for (const field of fields) {
    const text = Object.hasOwn(parsed.parameters, field.key) ? parsed.parameters[field.key] : undefined;
    const value = text === undefined ? undefined : attempt(strict, () => field.read(text, `infotext.${field.key}`));
    if (value !== undefined) values[field.name] = value;
  }
  return values;
}

/** Old texts name the schedule behind the sampler: `Sampler: DPM++ 2M Karras`. */
function scheduleOfSampler(parameters: Readonly<Record<string, string>>): InfotextRequest['schedule'] {
  const name = parameters.Sampler;
  return name === undefined || 'Schedule type' in parameters
    ? undefined
    : resolveSampler(name, 'infotext.Sampler').schedule;
}

function attempt<T>(strict: boolean, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (strict || !(error instanceof DiffusionError)) throw error;
    return undefined;
  }
}
