import { createHash, randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiffusionError, invalidOption } from '../errors/index.js';
import { checkOptions, func, optional, signal } from '../options/index.js';
import { cacheDir } from './cacheDir.js';

export interface FileSha256Options {
  readonly signal?: AbortSignal | undefined;
  /** Bytes hashed so far of the file's bytes. Not called when the hash was cached. */
  readonly onProgress?: ((bytes: number, totalBytes: number) => void) | undefined;
}

const blockBytes = 1024 * 1024;
const remembered = new Map<string, { readonly stamp: string; readonly sha256: string }>();

/**
 * SHA-256 of a file's content, 64 lower-case hex digits: its identity, whatever it is called.
 *
 * Read once, then cached in memory and in `identity/` of the cache directory. A cached hash holds while real path,
 * size, modification time (ns) and inode stay the same. A cache that cannot be read or written only costs time.
 *
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND` when there is no such file or it cannot be read, `ERR_MODEL_CORRUPT`
 * when it changes while it is read; the signal's reason when aborted.
 */
export async function fileSha256(path: string, options: FileSha256Options = {}): Promise<string> {
  checkOptions('fileSha256', options, { signal: optional(signal()), onProgress: optional(func()) });
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw invalidOption('path', path, 'the path of a file: a string that is not empty and has no NUL character');
  options.signal?.throwIfAborted();
  const file = await open(path, 'r').catch((cause: unknown) => unreadable(path, cause));
  try {
    const real = await realpath(path);
    const before = await file.stat({ bigint: true });
    if (!before.isFile()) unreadable(path, undefined);
    const stamp = stampOf(before);
    const known = await recall(real, stamp);
    if (known !== undefined) return known;

    const sha256 = await hashFile(file, Number(before.size), options).catch((cause: unknown) => {
      // What `signal` and `onProgress` throw passes through; only the file system's errors carry a system call.
      if (cause instanceof Error && 'syscall' in cause) return unreadable(path, cause);
      throw cause;
    });
    if (stampOf(await file.stat({ bigint: true })) !== stamp) {
      const hint = 'Wait until it is complete.';
      const message = `The file ${path} changed while it was read; it may still be downloading. ${hint}`;
      throw new DiffusionError('ERR_MODEL_CORRUPT', message, { given: path, hint });
    }
    // Clocks of file systems tick in steps: a second write within one step would leave the stamp as it is.
    const age = Date.now() - Number(before.mtimeNs / 1_000_000n);
    if (age > clockStepMs) await remember(real, stamp, sha256);
    return sha256;
  } finally {
    await file.close();
  }
}

const clockStepMs = 50;

/** Notes the hash of a file that was just written by this process, so that it is not read again to learn it. */
export async function rememberFileSha256(path: string, sha256: string): Promise<void> {
  await remember(await realpath(path), await fileStamp(path), sha256);
}

/** Empties the cache in memory, not the one on disk. For tests. */
export function forgetFileSha256(): void {
  remembered.clear();
}

function stampOf({ size, mtimeNs, ino }: BigIntStats): string {
  return `${String(size)}:${String(mtimeNs)}:${String(ino)}`;
}

/** Stamp of a file: the same stamp, the same content. Throws what `stat` throws. */
export async function fileStamp(path: string): Promise<string> {
  return stampOf(await stat(path, { bigint: true }));
}

function unreadable(path: string, cause: unknown): never {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  const what =
    cause === undefined || code === 'EISDIR'
      ? 'is not a file'
      : code === 'ENOENT'
        ? 'does not exist'
        : 'cannot be read';
  const hint = 'Check the path and its permissions.';
  throw new DiffusionError('ERR_MODEL_NOT_FOUND', `The file ${path} ${what}. ${hint}`, { given: path, hint, cause });
}

async function hashFile(file: FileHandle, size: number, { signal, onProgress }: FileSha256Options): Promise<string> {
  const hash = createHash('sha256');
  const blocks = [Buffer.allocUnsafe(blockBytes), Buffer.allocUnsafe(blockBytes)] as const;
  let done = 0;
  // One block is hashed while the next one is read.
  for (let turn = 0, reading = file.read(blocks[0], 0, blockBytes, 0); ; turn = 1 - turn) {
    const { bytesRead, buffer } = await reading;
    if (bytesRead === 0) return hash.digest('hex');
    signal?.throwIfAborted();
    done += bytesRead;
    reading = file.read(blocks[turn === 0 ? 1 : 0], 0, blockBytes, done);
    hash.update(buffer.subarray(0, bytesRead));
    onProgress?.(done, Math.max(size, done));
  }
}

interface Entry {
  readonly path: string;
  readonly stamp: string;
  readonly sha256: string;
}

function entryFile(real: string): string {
  return join(cacheDir(), 'identity', `${createHash('sha256').update(real).digest('hex').slice(0, 32)}.json`);
}

async function recall(real: string, stamp: string): Promise<string | undefined> {
  const known = remembered.get(real);
  if (known?.stamp === stamp) return known.sha256;
  try {
    const entry = JSON.parse(await readFile(entryFile(real), 'utf8')) as Partial<Entry>;
    if (entry.path !== real || entry.stamp !== stamp || !/^[0-9a-f]{64}$/.test(entry.sha256 ?? '')) return undefined;
    const sha256 = entry.sha256 as string;
    remembered.set(real, { stamp, sha256 });
    return sha256;
  } catch {
    return undefined;
  }
}

async function remember(real: string, stamp: string, sha256: string): Promise<void> {
  remembered.set(real, { stamp, sha256 });
  const target = entryFile(real);
  const temporary = `${target}.${randomUUID()}.tmp`;
  try {
    await mkdir(join(target, '..'), { recursive: true });
    // Renamed into place, so a reader sees the old entry or the new one, never half of one, whoever else writes.
    await writeFile(temporary, JSON.stringify({ path: real, stamp, sha256 } satisfies Entry));
    await rename(temporary, target);
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}
