import { DiffusionError } from '../../errors/index.js';

/** Which file, and which option it came from: every message names both. */
export interface FileContext {
  readonly path: string;
  readonly field: string;
}

const allowed = 'a safetensors, GGUF or PyTorch (.ckpt, .pt, .pth) model file';
const defaultCorruptHint = 'Download or copy the file again and compare its size and SHA-256 with the source.';

/** `ERR_MODEL_CORRUPT`: what is wrong and at which byte of the file. */
export function corrupt(
  file: FileContext,
  what: string,
  offset: number | undefined,
  hint = defaultCorruptHint,
): DiffusionError {
  const where = offset === undefined ? '' : ` (at byte ${String(offset)})`;
  const message = `Model file "${file.field}": ${file.path} is not usable: ${what}${where}. ${hint}`;
  return new DiffusionError('ERR_MODEL_CORRUPT', message, { field: file.field, given: file.path, allowed, hint });
}

/** `ERR_MODEL_UNSUPPORTED`: a sound file, but of a kind that cannot be used here. */
export function unsupported(file: FileContext, what: string, hint: string): DiffusionError {
  const message = `Model file "${file.field}": ${file.path} is not supported: ${what}. ${hint}`;
  return new DiffusionError('ERR_MODEL_UNSUPPORTED', message, { field: file.field, given: file.path, allowed, hint });
}

/** `ERR_MODEL_NOT_FOUND`: the path leads to nothing that can be read. */
export function notFound(file: FileContext, what: string, hint: string, cause: unknown): DiffusionError {
  const message = `Model file "${file.field}": ${file.path} ${what}. ${hint}`;
  return new DiffusionError('ERR_MODEL_NOT_FOUND', message, {
    field: file.field,
    given: file.path,
    allowed,
    hint,
    cause,
  });
}

/** Shows a name from a file in a message: short and on one line. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 97)}…` : name);
}
