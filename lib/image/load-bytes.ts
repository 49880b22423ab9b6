import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { DiffusionError } from '../errors/index.js';
import { filePath } from '../options/index.js';
import { invalidImage, reason } from './invalid-image.js';

/** Largest encoded file that is read, bytes. */
const maxFileSize = 512 * 1024 * 1024;

const hints: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such file.',
  EACCES: 'The file may not be read by this user.',
  EISDIR: 'This is a directory.',
};

/**
 * The bytes of an encoded picture: of a file, or the ones given.
 * @throws DiffusionError `ERR_IMAGE_INVALID` when there is no readable file of at most 512 MiB, `ERR_INVALID_OPTION`
 *   for URLs that are not `file:`.
 */
export async function loadBytes(
  input: string | URL | Uint8Array | ArrayBuffer,
  field: string,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (input instanceof ArrayBuffer) return new Uint8Array(input);
  if (input instanceof Uint8Array) return input;
  const path = filePath().check(input, field);
  try {
    // Without O_NONBLOCK, opening a FIFO would hold a thread until somebody writes to it. Windows lacks the flag.
    const file = await open(path, constants.O_RDONLY | ((constants.O_NONBLOCK as number | undefined) ?? 0));
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw invalidImage(field, path, 'a file', stat.isDirectory() ? hints.EISDIR : undefined);
      if (stat.size > maxFileSize) throw invalidImage(field, path, `a file of at most ${String(maxFileSize)} bytes`);
      return await file.readFile({ signal });
    } finally {
      await file.close();
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof DiffusionError) throw cause;
    const code = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? '') : '';
    throw invalidImage(field, path, 'a readable file', hints[code] ?? `${reason(cause)}.`, cause);
  }
}
