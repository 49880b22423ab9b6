import { DiffusionError } from '../../errors/index.js';

/** The embedded model could not be put into the cache directory: disk full, no permission, and the like. */
export function cacheFailure(directory: string, what: string, cause?: unknown): DiffusionError {
  const hint = 'Set NODE_DIFFUSION_CACHE to a directory on a disk with enough room that this process may write to.';
  const message = `The embedded model could not be unpacked into ${directory}: ${what}. ${hint}`;
  return new DiffusionError('ERR_MODEL_NOT_LOADED', message, { given: directory, hint, cause });
}

/** Turns an error of the file system into a typed one; everything else is thrown again as it is. */
export function rethrow(directory: string, cause: unknown): never {
  if (!(cause instanceof Error) || !('syscall' in cause)) throw cause;
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  const words: Readonly<Record<string, string>> = {
    EACCES: 'no permission to write there',
    EPERM: 'the operation is not permitted there',
    EROFS: 'the file system is read-only',
    ENOSPC: 'the disk is full',
    EDQUOT: 'the disk quota is used up',
    EFBIG: 'a file may not become so large there (ulimit -f, or the file system)',
    ENOTDIR: 'part of the path is a file, not a directory',
  };
  throw cacheFailure(directory, words[code] ?? `the file system reports ${code}`, cause);
}
