import {
  isAutomatic,
  resolveSampler,
  resolveSchedule,
  type Sampler,
  samplerLabels,
  type Schedule,
  scheduleLabels,
  labelOf,
} from '../options/index.js';

import {
  type Attempt,
  fileName,
  type InfotextFiles,
  type InfotextModules,
  knownFile,
  moduleIndex,
  modulePairs,
  namedFile,
  readModules,
} from './infotext-names.js';
import { type InfotextRefiner, isHiresRefinerKey } from './infotext-refiner.js';
import { readNumber, readSize, strengthKey } from './infotext-values.js';

/** What infotext says about a hires pass, by the names of `HiresOptions`. */
export interface InfotextHires {
  readonly scale?: number;
  readonly width?: number;
  readonly height?: number;
  /** A name, A1111's label, or the file of an upscaler model. */
  readonly upscaler?: string | { readonly file: string; readonly tileSize?: number };
  readonly steps?: number;
  readonly denoisingStrength?: number;
  readonly prompt?: string;
  readonly negativePrompt?: string;
  readonly sampler?: Sampler;
  readonly schedule?: Schedule;
  readonly cfgScale?: number;
  readonly guidance?: number;
  readonly clipSkip?: number;
  readonly seed?: number;
  readonly checkpoint?: string;
  readonly modules?: InfotextModules;
  readonly refiner?: InfotextRefiner;
}

/** A1111's and Forge's keys (`extra_generation_params` of their `modules/processing.py`); the last three are ours. */
const keys = {
  scale: 'Hires upscale',
  resize: 'Hires resize',
  steps: 'Hires steps',
  upscaler: 'Hires upscaler',
  tileSize: 'Hires upscaler tile',
  checkpoint: 'Hires checkpoint',
  sampler: 'Hires sampler',
  schedule: 'Hires schedule type',
  prompt: 'Hires prompt',
  negativePrompt: 'Hires negative prompt',
  cfgScale: 'Hires CFG Scale',
  guidance: 'Hires Distilled CFG Scale',
  clipSkip: 'Hires clip skip',
  seed: 'Hires seed',
} as const;

const moduleKey = 'Hires Module';
/** Upscalers that are no models. */
const needsNoFile = /^(?:latent\b.*|lanczos|bicubic|nearest|none)$/i;

/** Whether a key is one of a hires pass. */
export function isHiresKey(key: string): boolean {
  return (Object.values(keys) as string[]).includes(key) || moduleIndex(key, moduleKey) > 0 || isHiresRefinerKey(key);
}

/** The pairs of a hires pass; its strength is that of the request, `Denoising strength`. */
export function hiresPairs(hires: InfotextHires): [string, string][] {
  const { width, height, upscaler, modules } = hires;
  const pairs: [string, string][] = [];
  const add = (key: string, value: string | number | undefined): void => {
    if (value !== undefined) pairs.push([key, String(value)]);
  };
  add(keys.scale, hires.scale);
  if (width !== undefined && height !== undefined) add(keys.resize, `${String(width)}x${String(height)}`);
  add(keys.steps, hires.steps);
  add(keys.upscaler, typeof upscaler === 'object' ? fileName(upscaler.file) : upscaler);
  if (typeof upscaler === 'object' && upscaler.tileSize !== 128) add(keys.tileSize, upscaler.tileSize);
  add(keys.checkpoint, hires.checkpoint === undefined ? undefined : fileName(hires.checkpoint));
  // Where the key is missing, Forge understands the modules of the first pass.
  const own = hires.checkpoint === undefined ? undefined : 'built-in';
  pairs.push(...modulePairs(moduleKey, modules ?? own));
  add(keys.sampler, labelOf(samplerLabels, hires.sampler));
  add(keys.schedule, labelOf(scheduleLabels, hires.schedule));
  for (const name of ['prompt', 'negativePrompt', 'cfgScale', 'guidance', 'clipSkip', 'seed'] as const)
    add(keys[name], hires[name]);
  return pairs;
}

/**
 * The hires pass that a text tells of; undefined: none.
 * @param attempt gives undefined in place of a value that cannot be read, or throws.
 * @param files where the files are that it names.
 * @param first schedule of the first pass, which A1111 keeps when only the sampler is another.
 */
export function readHires(
  parameters: Readonly<Record<string, string>>,
  attempt: Attempt,
  files: InfotextFiles | undefined,
  first?: Schedule,
): InfotextHires | undefined {
  const text = (key: string): string | undefined => (Object.hasOwn(parameters, key) ? parameters[key] : undefined);
  const upscaler = text(keys.upscaler);
  if (upscaler === undefined && text(keys.scale) === undefined && text(keys.resize) === undefined) return undefined;
  const number = (key: string): number | undefined => {
    const value = text(key);
    return value === undefined ? undefined : attempt(() => readNumber(value, `infotext.${key}`));
  };
  // A name that nobody knows a file for is an error of the request.
  const file = upscaler === undefined || needsNoFile.test(upscaler) ? undefined : knownFile(upscaler, files);
  const named = text(keys.checkpoint);
  const checkpoint = named === undefined ? undefined : attempt(() => namedFile(named, keys.checkpoint, files));
  const tileSize = number(keys.tileSize);
  const sampler = text(keys.sampler);
  const own = sampler === undefined ? undefined : attempt(() => resolveSampler(sampler, `infotext.${keys.sampler}`));
  const schedule = text(keys.schedule);
  const edges = attempt(() => readResize(text(keys.resize))) ?? {};
  return defined({
    scale: Object.keys(edges).length === 0 ? number(keys.scale) : undefined,
    ...edges,
    upscaler: file === undefined ? upscaler : { file, ...(tileSize === undefined ? {} : { tileSize }) },
    steps: number(keys.steps),
    denoisingStrength: number(strengthKey),
    prompt: text(keys.prompt),
    negativePrompt: text(keys.negativePrompt),
    sampler: own?.sampler,
    schedule:
      schedule === undefined
        ? // Old texts name it behind the sampler.
          (own?.schedule ?? (own === undefined ? undefined : first))
        : attempt(() => (isAutomatic(schedule) ? undefined : resolveSchedule(schedule, `infotext.${keys.schedule}`))),
    cfgScale: number(keys.cfgScale),
    guidance: number(keys.guidance),
    clipSkip: number(keys.clipSkip),
    seed: number(keys.seed),
    checkpoint,
    // Modules of a checkpoint that was left out would be those of another.
    modules:
      named !== undefined && checkpoint === undefined ? undefined : readModules(parameters, moduleKey, files, attempt),
  });
}

function defined(values: Readonly<{ [K in keyof InfotextHires]: InfotextHires[K] | undefined }>): InfotextHires {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** `0x512` is one edge alone. */
function readResize(text: string | undefined): { width?: number; height?: number } {
  if (text === undefined) return {};
  const { width, height } = readSize(text, keys.resize);
  return { ...(width > 0 ? { width } : {}), ...(height > 0 ? { height } : {}) };
}
