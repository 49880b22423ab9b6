import { DiffusionError, errorCodes, invalidOption, type ErrorCode } from '../errors/index.js';
import type { NativeAddon, NativeInspection, NativeModelFiles } from '../native/contract.js';
import {
  modelFileFields,
  modelPath,
  readModelHeaders,
  type ModelFileHeader,
  type ModelFileOptions,
  type ModelPath,
} from './files.js';
import {
  classify,
  type ComponentName,
  type Metadata,
  type MetadataValue,
  type ModelFormat,
  type ModelKind,
  type TensorHeader,
} from './format/index.js';
import { elementCount } from './format/layout.js';

export interface InspectOptions {
  readonly signal?: AbortSignal | undefined;
  /** Gives the architecture; without it `architecture` is null. */
  readonly native?: Pick<NativeAddon, 'inspect'> | undefined;
}

export interface InspectedFile {
  /** Option the file was given as; `path` for a single path. */
  readonly field: string;
  readonly path: string;
  readonly format: ModelFormat;
  /** Size of the file. */
  readonly bytes: number;
}

export interface InspectedTensor {
  /** In a diffusers directory with the prefix the engine gives it, e.g. `unet.`. */
  readonly name: string;
  readonly dtype: string;
  /** Outermost dimension first. */
  readonly shape: readonly number[];
  readonly bytes: number;
}

export interface DtypeStatistics {
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** Header facts of a model; no weights were read. */
export interface ModelInspection {
  /** `diffusers` for a directory, `mixed` for files of several formats. */
  readonly format: ModelFormat | 'diffusers' | 'mixed';
  readonly kind: ModelKind;
  /** The engine's name of the model family, e.g. `SD 1.x`; null when not asked for or not a model the engine knows. */
  readonly architecture: string | null;
  readonly components: readonly ComponentName[];
  readonly files: readonly InspectedFile[];
  readonly tensors: readonly InspectedTensor[];
  /** Elements of all tensors. */
  readonly parameters: number;
  /** Size of all files. */
  readonly bytes: number;
  readonly dtypes: Readonly<Record<string, DtypeStatistics>>;
  /** Metadata of all files; of equal keys the first file's. */
  readonly metadata: Metadata;
}

type AbsoluteFiles = Partial<Record<keyof NativeModelFiles, string>>;

function isFiles(value: unknown): value is ModelFileOptions {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof URL) &&
    modelFileFields.some((field) => field in value)
  );
}

function native(error: unknown): DiffusionError {
  if (error instanceof DiffusionError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const known = errorCodes.find((candidate: ErrorCode) => candidate === code);
  return new DiffusionError(known ?? 'ERR_ENGINE', message, { cause: error });
}

async function askEngine(
  addon: Pick<NativeAddon, 'inspect'>,
  files: NativeModelFiles,
  signal: AbortSignal | undefined,
): Promise<NativeInspection> {
  signal?.throwIfAborted();
  const job = addon.inspect(files);
  const cancel = (): void => {
    job.cancel();
  };
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await job.promise;
  } catch (error) {
    signal?.throwIfAborted();
    throw native(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

function statistics(tensors: readonly TensorHeader[]): { parameters: number; dtypes: Record<string, DtypeStatistics> } {
  const dtypes: Record<string, { tensors: number; parameters: number; bytes: number }> = {};
  let parameters = 0;
  for (const tensor of tensors) {
    const count = elementCount(tensor.shape) ?? 0;
    const entry = (dtypes[tensor.dtype] ??= { tensors: 0, parameters: 0, bytes: 0 });
    entry.tensors += 1;
    entry.parameters += count;
    entry.bytes += tensor.bytes;
    parameters += count;
  }
  return { parameters, dtypes };
}

function merged(headers: readonly ModelFileHeader[]): Metadata {
  const all: Record<string, MetadataValue> = Object.create(null) as Record<string, MetadataValue>;
  for (const { header } of headers) {
    for (const [key, value] of Object.entries(header.metadata)) all[key] ??= value;
  }
  return all;
}

function formatOf(headers: readonly ModelFileHeader[]): ModelInspection['format'] {
  if (headers.some((entry) => entry.part !== undefined))
    return headers.every((entry) => entry.part !== undefined) ? 'diffusers' : 'mixed';
  const formats = new Set(headers.map((entry) => entry.header.format));
  const [format] = formats;
  return formats.size === 1 && format !== undefined ? format : 'mixed';
}

const componentOfField: Partial<Record<keyof NativeModelFiles, ComponentName>> = {
  diffusionModel: 'diffusionModel',
  vae: 'vae',
  taesd: 'taesd',
  clipL: 'textEncoders',
  clipG: 'textEncoders',
  t5xxl: 'textEncoders',
  llm: 'textEncoders',
  clipVision: 'clipVision',
  controlNet: 'controlNet',
};

/** Files for the engine: a lone file goes where its kind belongs; null when it is nothing the engine names. */
function filesForEngine(files: AbsoluteFiles, single: string | undefined, kind: ModelKind): NativeModelFiles | null {
  if (single === undefined) return files.checkpoint === undefined && files.diffusionModel === undefined ? null : files;
  if (kind === 'diffusionModel') return { diffusionModel: single };
  return kind === 'checkpoint' || kind === 'unknown' ? { checkpoint: single } : null;
}

/**
 * Tells what a model is from the heads of its files: one path, a diffusers directory, or the files of a model by field.
 * Works for LoRAs, embeddings and the other kinds too.
 *
 * @throws DiffusionError as {@link readHeader} does, naming the field; the signal's reason when it is aborted.
 */
export async function inspectModel(
  model: ModelPath | ModelFileOptions,
  options: InspectOptions = {},
): Promise<ModelInspection> {
  const { signal } = options;
  const files: AbsoluteFiles = {};
  let single: string | undefined;
  if (typeof model === 'string' || model instanceof URL) single = modelPath(model, 'path');
  else if (isFiles(model)) {
    const unknown = Object.keys(model).find((key) => !modelFileFields.some((field) => field === key));
    if (unknown !== undefined) throw invalidOption(unknown, 'an unknown field', `one of ${modelFileFields.join(', ')}`);
    for (const field of modelFileFields) {
      const value = model[field];
      if (value !== undefined) files[field] = modelPath(value, field);
    }
  }
  const paths = single === undefined ? Object.entries(files) : [['path', single] as const];
  if (paths.length === 0)
    throw invalidOption('model', model, `a path, a file: URL object, or an object with ${modelFileFields.join(', ')}`);
  const headers: ModelFileHeader[] = [];
  for (const [field, path] of paths) headers.push(...(await readModelHeaders(path, field, signal)));
  return describe(headers, files, single, options);
}

async function describe(
  headers: readonly ModelFileHeader[],
  files: AbsoluteFiles,
  single: string | undefined,
  options: InspectOptions,
): Promise<ModelInspection> {
  const tensors = headers.flatMap(({ header, part }) =>
    part === undefined
      ? header.tensors
      : header.tensors.map((tensor) => ({ ...tensor, name: part.prefix + tensor.name })),
  );
  const { kind, components } = single === undefined ? combined(headers, files) : classify(tensors);
  const request = filesForEngine(files, single, kind);
  const answer =
    options.native === undefined || request === null
      ? ''
      : (await askEngine(options.native, request, options.signal)).architecture;
  return {
    format: formatOf(headers),
    kind: answer !== '' && kind === 'unknown' ? 'checkpoint' : kind,
    architecture: answer === '' ? null : answer,
    components,
    files: headers.map(({ field, header }) => ({
      field,
      path: header.path,
      format: header.format,
      bytes: header.bytes,
    })),
    tensors: tensors.map(({ name, dtype, shape, bytes }) => ({ name, dtype, shape, bytes })),
    ...statistics(tensors),
    bytes: headers.reduce((sum, { header }) => sum + header.bytes, 0),
    metadata: merged(headers),
  };
}

/** Several files: each gives the part of its field, the checkpoint what its names say. */
function combined(
  headers: readonly ModelFileHeader[],
  files: AbsoluteFiles,
): { kind: ModelKind; components: ComponentName[] } {
  const parts = new Set<ComponentName>();
  const checkpoint = headers.filter((entry) => entry.field === 'checkpoint');
  const names = checkpoint.flatMap(({ header, part }) =>
    header.tensors.map((tensor) => ({ ...tensor, name: (part?.prefix ?? '') + tensor.name })),
  );
  const own = classify(names);
  for (const component of own.components) parts.add(component);
  for (const field of modelFileFields) {
    const component = componentOfField[field];
    if (files[field] !== undefined && component !== undefined) parts.add(component);
  }
  const base = files.checkpoint !== undefined || files.diffusionModel !== undefined;
  const [first] = headers;
  const kind = base ? 'checkpoint' : first === undefined ? 'unknown' : classify(first.header.tensors).kind;
  return { kind, components: [...parts] };
}
