import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DiffusionError } from '../errors/index.js';
import { reason } from './invalid-image.js';

const hints: Readonly<Record<string, string>> = {
  ENOENT: 'The folder does not exist; create it first.',
  ENOTDIR: 'A part of the path is not a folder.',
  EACCES: 'The folder may not be written by this user.',
  EPERM: 'The folder may not be written by this user.',
  EROFS: 'The file system is read-only.',
  EISDIR: 'This is a folder; add a file name.',
  ENOSPC: 'The disk is full.',
  EDQUOT: 'The disk quota is used up.',
  EFBIG: 'A file may not become so large there (ulimit -f, or the file system).',
  ENAMETOOLONG: 'The file name is too long.',
};

/**
 * Writes a file so that others see the old content or the new, never a part: into a temporary file beside it, which
 * then takes its name. Folders are not created. An aborted or failed write leaves nothing behind.
 * @throws DiffusionError `ERR_INVALID_OPTION` naming `path`; the system's error is its `cause`.
 */
export async function writeFileAtomic(path: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  // A short name of its own: the final name may already be as long as names can be.
  const temporary = join(dirname(path), `.${basename(path).slice(0, 32)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    signal?.throwIfAborted();
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes, { signal });
    } finally {
      await file.close();
    }
    signal?.throwIfAborted();
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    signal?.throwIfAborted();
    const code = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? '') : '';
    const hint = hints[code] ?? `${reason(cause)}.`;
    const allowed = 'a path that can be written';
    throw new DiffusionError('ERR_INVALID_OPTION', `Cannot write "${path}" (option "path"). ${hint}`, {
      field: 'path',
      given: path,
      allowed,
      hint,
      cause,
    });
  }
}
