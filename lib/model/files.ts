import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiffusionError, invalidOption } from '../errors/index.js';
import type { NativeModelFiles } from '../native/contract.js';
import {
  checkEngineReads,
  classify,
  listDiffusers,
  readHeader,
  type DiffusersPart,
  type FileHeader,
  type ModelKind,
} from './format/index.js';
import { statModel } from './format/source.js';

/** A path, relative to the working directory or absolute, or a `file:` URL object. */
export type ModelPath = string | URL;

export type ModelFileField = keyof NativeModelFiles;

/** The files that make a model; at least `checkpoint` or `diffusionModel`. `checkpoint` may be a diffusers directory. */
export type ModelFileOptions = Readonly<Partial<Record<ModelFileField, ModelPath | undefined>>>;

/** Every field that names a model file. */
export const modelFileFields = [
  'checkpoint',
  'diffusionModel',
  'vae',
  'taesd',
  'clipL',
  'clipG',
  'clipVision',
  't5xxl',
  'llm',
  'llmVision',
  'controlNet',
] as const satisfies readonly ModelFileField[];

/** The header of one file, with the field it was given for. */
export interface ModelFileHeader {
  readonly field: string;
  readonly header: FileHeader;
  /** The part of a diffusers directory this file is; absent for a single file. */
  readonly part?: DiffusersPart;
}

/** Absolute path of a model path option. `ERR_INVALID_OPTION` when it is neither a path nor a `file:` URL object. */
export function modelPath(value: unknown, field: string): string {
  const allowed = 'the path of a file, or a file: URL object';
  if (value instanceof URL) {
    if (value.protocol !== 'file:') throw invalidOption(field, value.href, allowed, 'Download the file first.');
    try {
      return resolve(fileURLToPath(value));
    } catch {
      throw invalidOption(field, value.href, allowed);
    }
  }
  if (typeof value !== 'string' || value === '' || value.includes('\0')) throw invalidOption(field, value, allowed);
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(value))
    throw invalidOption(field, value, allowed, 'Wrap a file: URL in new URL(…); download anything else first.');
  return resolve(value);
}

/** Reads the header of a file, or of every file of a diffusers directory. */
export async function readModelHeaders(path: string, field: string, signal?: AbortSignal): Promise<ModelFileHeader[]> {
  const options = signal === undefined ? { field } : { field, signal };
  signal?.throwIfAborted();
  const context = { path, field };
  if (!(await statModel(context)).directory) return [{ field, header: await readHeader(path, options) }];
  const headers: ModelFileHeader[] = [];
  for (const part of await listDiffusers(context))
    headers.push({ field, part, header: await readHeader(part.path, options) });
  return headers;
}

/** Kinds that are no part of a base model, with what they are called in a message. */
const additions: Partial<Record<ModelKind, string>> = {
  lora: 'a LoRA',
  embedding: 'a textual inversion embedding',
  hypernetwork: 'a hypernetwork',
  upscaler: 'an upscaler',
};

function checkRole(field: ModelFileField, headers: readonly ModelFileHeader[]): void {
  for (const { header } of headers) {
    checkEngineReads(header, field);
    const addition = additions[classify(header.tensors).kind];
    if (addition === undefined) continue;
    const hint = `Give it where ${addition} is expected, and the base model as "checkpoint" or "diffusionModel".`;
    throw new DiffusionError(
      'ERR_MODEL_UNSUPPORTED',
      `Model file "${field}": ${header.path} is ${addition}, not ${field === 'checkpoint' ? 'a checkpoint' : `a file for "${field}"`}. ${hint}`,
      { field, given: header.path, hint },
    );
  }
}

/**
 * The absolute paths of a model's files. Other keys of `options` are left alone.
 *
 * @throws DiffusionError `ERR_INVALID_OPTION`, naming the field.
 */
export function modelFilePaths(options: ModelFileOptions): NativeModelFiles {
  if (options.checkpoint === undefined && options.diffusionModel === undefined) {
    throw invalidOption('checkpoint', undefined, 'the path of a checkpoint, or "diffusionModel" with its companions');
  }
  const paths: Partial<Record<ModelFileField, string>> = {};
  for (const field of modelFileFields) {
    const value = options[field];
    if (value !== undefined) paths[field] = modelPath(value, field);
  }
  return paths;
}

/**
 * Checks the header of every file of a model and what it is given for. The addon checks files once more before its
 * engine reads them; this check has the better messages.
 *
 * @throws DiffusionError naming the field: `ERR_INVALID_OPTION`, `ERR_MODEL_NOT_FOUND`, `ERR_MODEL_CORRUPT` or
 * `ERR_MODEL_UNSUPPORTED`; the signal's reason when it is aborted.
 */
export async function checkModelFiles(paths: NativeModelFiles, signal?: AbortSignal): Promise<void> {
  for (const field of modelFileFields) {
    const path = paths[field];
    if (path === undefined) continue;
    const headers = await readModelHeaders(path, field, signal);
    if (headers.some((entry) => entry.part !== undefined) && field !== 'checkpoint') {
      throw invalidOption(field, path, 'the path of a file', 'Only "checkpoint" may be a diffusers directory.');
    }
    checkRole(field, headers);
  }
}
