import { invalidOption } from '../errors/index.js';
import { modelFileFields } from '../model/index.js';
import type { NativeLoadOptions, NativeModelFiles } from '../native/index.js';
import {
  boolean,
  type Checked,
  checker,
  checkOptions,
  filePath,
  func,
  integer,
  number,
  object,
  oneOf,
  optional,
  predictionAliases,
  predictions,
  recordOf,
  rngAliases,
  rngs,
  signal,
  text,
  union,
  weightTypeAliases,
  weightTypes,
  convolutionTypes,
} from '../options/index.js';
import type { ProgressEvent } from '../pipeline/index.js';
import type { ModelFileOptions } from './types.js';

const off = boolean({ default: false });
const weightType = oneOf(weightTypes, { aliases: weightTypeAliases });
const files = Object.fromEntries(modelFileFields.map((field) => [field, optional(filePath())])) as Readonly<
  Record<keyof ModelFileOptions, ReturnType<typeof optional<string, string | URL>>>
>;

const spec = {
  ...files,
  weightType: optional(weightType),
  tensorTypeRules: optional(union([text(), recordOf(weightType)], (value) => (typeof value === 'string' ? 0 : 1))),
  convolutionType: oneOf(convolutionTypes, { default: 'f16' }),
  mmap: off,
  flashAttention: off,
  diffusionConvDirect: off,
  vaeConvDirect: off,
  textEncoderOnCpu: off,
  vaeOnCpu: off,
  controlNetOnCpu: off,
  offloadToCpu: off,
  maxVram: number({ min: 0, max: 4096, default: 0 }),
  circular: optional(union([boolean(), object({ x: off, y: off })], (value) => (typeof value === 'boolean' ? 0 : 1))),
  prediction: optional(oneOf(predictions, { aliases: predictionAliases })),
  device: optional(text({ allowEmpty: false, maxLength: 256 })),
  threads: optional(integer({ min: 0, max: 1024 })),
  rng: oneOf(rngs, { aliases: rngAliases, default: 'cuda' }),
  samplerRng: optional(oneOf(rngs, { aliases: rngAliases })),
  vaeDecodeOnly: off,
  taesdPreviewOnly: off,
  conditioningCacheBytes: integer({ min: 0, default: 64 * 1024 * 1024 }),
  loraMode: oneOf(['auto', 'merge', 'runtime'] as const, { default: 'auto' }),
  loraBackup: oneOf(['file', 'ram', 'device'] as const, { default: 'file' }),
  loraCacheBytes: integer({ min: 0, default: 0 }),
  signal: optional(signal()),
  onProgress: optional(func<(event: ProgressEvent) => void>()),
} as const;

export type CheckedLoadOptions = Checked<typeof spec>;

/** Checks the options of `loadModel`. */
export function checkLoadOptions(given: unknown): CheckedLoadOptions {
  const options = checkOptions('loadModel', given, spec);
  const named = modelFileFields.filter((field) => options[field] !== undefined);
  if (named.length > 0 && options.checkpoint === undefined && options.diffusionModel === undefined) {
    throw invalidOption(
      'checkpoint',
      undefined,
      'a path, or a path in diffusionModel',
      `Name it beside ${named.join(', ')}.`,
    );
  }
  if (options.taesdPreviewOnly && options.taesd === undefined && named.length > 0) {
    throw invalidOption(
      'taesdPreviewOnly',
      true,
      'false without the option taesd',
      'Name the tiny autoencoder in taesd.',
    );
  }
  return options;
}

interface WhereWeightsLie {
  readonly offloadToCpu: boolean;
  readonly maxVram?: number;
}

/** The options ask for weights that leave the device between jobs. */
export const weightsLeave = ({ offloadToCpu, maxVram = 0 }: WhereWeightsLie): boolean => offloadToCpu || maxVram > 0;

/** Where weights lie that leave with every job, a backend that compiles them would have to begin anew. */
export function assertWeightsStay({ offloadToCpu, maxVram = 0 }: WhereWeightsLie, backend: string): void {
  if (backend !== 'openvino') return;
  const why = 'OpenVINO would compile every network again in every job, since its weights had left meanwhile';
  const hint = `${why}: leave it away. openvino.cacheSize bounds what is kept.`;
  if (offloadToCpu) throw invalidOption('offloadToCpu', true, "false with the backend 'openvino'", hint);
  if (maxVram > 0) throw invalidOption('maxVram', maxVram, "0 with the backend 'openvino'", hint);
}

/** Threads that the options ask for, else those of the runtime. */
export const threadsFor = ({ threads = 0 }: { readonly threads?: number | undefined }, otherwise: number): number =>
  threads === 0 ? otherwise : threads;

/** Options for the addon. `device` and `threads` are the runtime's, unless the options say otherwise. */
export function nativeLoadOptions(
  options: CheckedLoadOptions,
  paths: NativeModelFiles,
  device: string,
  threads: number,
  deviceOptions = '',
): NativeLoadOptions {
  const { circular = false } = options;
  return {
    files: paths,
    device,
    deviceOptions,
    threads: threadsFor(options, threads),
    taesdPreviewOnly: options.taesdPreviewOnly,
    weightType: options.weightType ?? '',
    tensorTypeRules: rules(options.tensorTypeRules),
    wideConvolutions: options.convolutionType === 'f32',
    mmap: options.mmap,
    flashAttention: options.flashAttention,
    diffusionConvDirect: options.diffusionConvDirect,
    vaeConvDirect: options.vaeConvDirect,
    keepTextEncoderOnCpu: options.textEncoderOnCpu,
    keepVaeOnCpu: options.vaeOnCpu,
    keepControlNetOnCpu: options.controlNetOnCpu,
    offloadToCpu: options.offloadToCpu,
    maxVram: options.maxVram,
    circularX: typeof circular === 'boolean' ? circular : circular.x,
    circularY: typeof circular === 'boolean' ? circular : circular.y,
    prediction: options.prediction ?? '',
    rng: options.rng,
    samplerRng: options.samplerRng ?? options.rng,
    vaeDecodeOnly: options.vaeDecodeOnly,
    withoutTextEncoder: false,
    withoutVae: false,
    memoryBudget: 0,
  };
}

const ruleSyntax = checker('rules "regex=type,regex=type"', (value, field) => {
  const entries = String(value).split(',');
  for (const entry of entries) {
    const [pattern = '', type = '', ...rest] = entry.split('=');
    if (pattern === '' || type === '' || rest.length > 0)
      throw invalidOption(field, entry, 'rules "regex=type,regex=type"');
    checkPattern(pattern, field);
    weightType.check(type, field);
  }
  return entries.join(',');
});

/** The engine splits rules at commas and equals signs and has no way to write either inside a pattern. */
function rules(given: string | Readonly<Record<string, string>> | undefined): string {
  if (given === undefined || given === '') return '';
  if (typeof given === 'string') return ruleSyntax.check(given, 'tensorTypeRules');
  return Object.entries(given)
    .map(([pattern, type]) => {
      if (/[,=]/.test(pattern) || pattern === '')
        throw invalidOption('tensorTypeRules', pattern, 'patterns without "," and "="');
      checkPattern(pattern, 'tensorTypeRules');
      return `${pattern}=${type}`;
    })
    .join(',');
}

/** std::regex throws on a broken pattern; so does ours, whose syntax it shares for everything people write here. */
function checkPattern(pattern: string, field: string): void {
  try {
    new RegExp(pattern);
  } catch {
    throw invalidOption(field, pattern, 'a regular expression (ECMAScript)');
  }
}
