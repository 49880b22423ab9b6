import { open, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { corrupt, notFound, type FileContext } from './errors.js';
import { similarFiles } from './suggest.js';
import type { ReadHeaderOptions } from './types.js';

/** An open model file: bounded reads by position, checked against the file's size and the signal. */
export class Source implements FileContext {
  readonly path: string;
  readonly field: string;
  /** Size of the file in bytes when it was opened. */
  readonly size: number;
  readonly signal: AbortSignal | undefined;
  readonly #handle: FileHandle;

  constructor(file: FileContext, handle: FileHandle, size: number, signal: AbortSignal | undefined) {
    this.path = file.path;
    this.field = file.field;
    this.size = size;
    this.signal = signal;
    this.#handle = handle;
  }

  /** Exactly `length` bytes at `offset`; `what` names them when the file is too short. */
  async read(offset: number, length: number, what: string): Promise<Buffer> {
    if (offset + length > this.size) {
      throw corrupt(
        this,
        `it ends inside ${what}: ${String(length)} bytes are needed, ${String(Math.max(0, this.size - offset))} are there`,
        offset,
      );
    }
    const buffer = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      this.signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, done, length - done, offset + done);
      if (bytesRead === 0) throw corrupt(this, `it became shorter while ${what} was read`, offset + done);
      done += bytesRead;
    }
    this.signal?.throwIfAborted();
    return buffer;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Lets other work of the event loop run during a long parse, and notices an abort. */
export async function breathe(signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}

async function missing(file: FileContext, error: unknown): Promise<Error> {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EACCES' || code === 'EPERM') {
    return notFound(
      file,
      'cannot be read: permission denied',
      'Give this user the right to read the file and its directory.',
      error,
    );
  }
  if (code !== 'ENOENT' && code !== 'ENOTDIR') {
    const reason = error instanceof Error ? error.message : String(error);
    return notFound(file, `cannot be opened: ${reason}`, 'Check the path.', error);
  }
  const similar = await similarFiles(file.path);
  if (similar.length > 0) return notFound(file, 'does not exist', `Did you mean ${similar.join(' or ')}?`, error);
  const directory = dirname(file.path);
  const directoryExists = await stat(directory).then(
    (info) => info.isDirectory(),
    () => false,
  );
  if (!directoryExists)
    return notFound(file, 'does not exist', `The directory ${directory} does not exist either. Check the path.`, error);
  const tilde = file.path.includes('/~/') ? ' A leading ~ is expanded by the shell only, not here.' : '';
  return notFound(file, 'does not exist', `Check the path.${tilde}`, error);
}

/** Kind and size of what is at an absolute path, or `ERR_MODEL_NOT_FOUND`. */
export async function statModel(file: FileContext): Promise<{ directory: boolean; file: boolean; size: number }> {
  try {
    const info = await stat(file.path);
    return { directory: info.isDirectory(), file: info.isFile(), size: info.size };
  } catch (error) {
    throw await missing(file, error);
  }
}

/** Opens a regular file. Directories, empty files and special files are refused: opening a pipe would wait for ever. */
export async function openSource(file: FileContext, options: ReadHeaderOptions): Promise<Source> {
  options.signal?.throwIfAborted();
  const info = await statModel(file);
  options.signal?.throwIfAborted();
  if (info.directory) {
    throw corrupt(
      file,
      'it is a directory, not a file',
      undefined,
      'Give the path of a file, or as "checkpoint" a diffusers directory with unet/diffusion_pytorch_model.safetensors.',
    );
  }
  if (!info.file)
    throw corrupt(
      file,
      'it is a device, a pipe or a socket, not a file',
      undefined,
      'Give the path of a regular file.',
    );
  if (info.size === 0) throw corrupt(file, 'it is empty, 0 bytes', 0);
  try {
    return new Source(file, await open(file.path, 'r'), info.size, options.signal);
  } catch (error) {
    throw await missing(file, error);
  }
}
