import { resolve } from 'node:path';
import { invalidOption } from '../../errors/index.js';
import { detect } from './detect.js';
import { readGguf } from './gguf.js';
import { readSafetensors } from './safetensors.js';
import { openSource } from './source.js';
import { readTorchLegacy } from './torch-legacy.js';
import { readTorchZip } from './torch-zip.js';
import type { FileHeader, ReadHeaderOptions } from './types.js';

const readers = {
  gguf: readGguf,
  safetensors: readSafetensors,
  'torch-zip': readTorchZip,
  'torch-legacy': readTorchLegacy,
} as const;

/**
 * Reads the head of a model file: tensors, where their bytes lie, metadata. The container is recognised by content.
 * Everything is checked against the file's size; weights are never read and nothing in the file is executed. Memory is
 * bounded by `limits`, whatever the file says.
 *
 * @param path relative to the working directory, or absolute
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND`: nothing there, or not readable; similar names are suggested.
 * `ERR_MODEL_CORRUPT`: a directory, empty, cut short, garbage or contradictory; the message has the byte offset.
 * `ERR_MODEL_UNSUPPORTED`: a sound file of another kind. `ERR_INVALID_OPTION`: not a usable path. The signal's reason
 * when it is aborted.
 */
export async function readHeader(path: string, options: ReadHeaderOptions = {}): Promise<FileHeader> {
  const field = options.field ?? 'path';
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw invalidOption(field, path, 'the path of a model file: a string that is not empty and has no NUL character');
  }
  const source = await openSource({ path: resolve(path), field }, options);
  try {
    return await readers[await detect(source)](source);
  } finally {
    await source.close();
  }
}
