import { randomUUID } from 'node:crypto';
import { constants, rmSync } from 'node:fs';
import { access, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { DiffusionError } from '../../errors/index.js';
import { fileSha256, rememberFileSha256 } from '../identity.js';
import { type StreamedTensor, writeSafetensors } from '../safetensors/index.js';
import { cleaningAtExit } from './atExit.js';
import { cacheFailure } from './failure.js';
import { isAlive } from './lock.js';
import { embeddedName } from './pins.js';

/** A file of the embedded model as it must be. */
export interface PinnedFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface StoreOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((bytes: number, totalBytes: number) => void) | undefined;
}

/**
 * True when the file is there and has the pinned content. Reads it only when its stamp in the identity cache does not
 * fit.
 */
export async function isIntact(file: PinnedFile, options: StoreOptions): Promise<boolean> {
  const size = await stat(file.path).then(
    (s) => s.size,
    () => -1,
  );
  if (size !== file.bytes) return false;
  return (await fileSha256(file.path, options)) === file.sha256;
}

/**
 * Writes a file so that its name never stands for anything but the whole, right content: to a temporary name in the
 * same directory, hashed on the way, flushed to disk, then renamed.
 *
 * @throws DiffusionError `ERR_MODEL_CORRUPT` when what was written is not what is pinned; the signal's reason.
 */
export async function writePinned(
  file: PinnedFile,
  tensors: readonly StreamedTensor[],
  options: StoreOptions,
): Promise<void> {
  const temporary = `${file.path}.${String(process.pid)}@${hostname()}.${randomUUID()}.tmp`;
  const remove = (): void => {
    rmSync(temporary, { force: true });
  };
  await cleaningAtExit(remove, () => writeWhole(file, temporary, tensors, options));
  await syncDirectory(dirname(file.path));
  await rememberFileSha256(file.path, file.sha256);
}

async function writeWhole(
  file: PinnedFile,
  temporary: string,
  tensors: readonly StreamedTensor[],
  options: StoreOptions,
): Promise<void> {
  try {
    const handle = await open(temporary, 'wx');
    try {
      const { sha256 } = await writeSafetensors(handle, tensors, { ...options, metadata: liftedMetadata });
      if (sha256 !== file.sha256) {
        const hint = 'Install the package again; if that does not help, report it with this message.';
        const name = basename(file.path);
        const message = `The lifted file ${name} has SHA-256 ${sha256}, expected ${file.sha256}. ${hint}`;
        throw new DiffusionError('ERR_MODEL_CORRUPT', message, { given: sha256, allowed: file.sha256, hint });
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    options.signal?.throwIfAborted();
    await rename(temporary, file.path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** `__metadata__` of the lifted files; `format` is what diffusers looks for. */
export const liftedMetadata = { format: 'pt', license: 'OFL-1.1', source: `node-diffusion ${embeddedName}` } as const;

/** A rename is only on disk once its directory is. Windows cannot open directories and does not need to. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  // Some network file systems refuse this; the file is right all the same.
  await handle.sync().catch(() => undefined);
  await handle.close();
}

/** Makes a directory and those above it. */
export async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true });
  } catch (error) {
    // Where a parent may not be written, Node says that it does not exist. Asked directly, the system says why.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      await access(await nearestExisting(directory), constants.W_OK);
    throw error;
  }
}

async function nearestExisting(path: string): Promise<string> {
  const found = await stat(path).then(
    () => true,
    () => false,
  );
  return found || dirname(path) === path ? path : nearestExisting(dirname(path));
}

/**
 * Makes sure that `bytes` more fit on the disk of `directory`.
 *
 * @throws DiffusionError `ERR_MODEL_NOT_LOADED` when they do not. A file system that does not say is taken at its best.
 */
export async function requireFreeSpace(directory: string, bytes: number, freeBytes = freeBytesOf): Promise<void> {
  const free = await freeBytes(directory).catch(() => Infinity);
  if (free >= bytes) return;
  const megabytes = (n: number): string => `${String(Math.ceil(n / 1e6))} MB`;
  throw cacheFailure(directory, `${megabytes(bytes)} are needed and ${megabytes(free)} are free`);
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/**
 * Removes temporary files that nobody writes any more, for the holder of the lock: those of a process that is gone or of
 * a thread of this one that was terminated, known by their names, and others (another machine's) by their age.
 */
export async function removeLeftovers(directory: string, olderThanMs = 60_000): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!name.endsWith('.tmp')) continue;
    const path = join(directory, name);
    if (isAbandoned(name) || (await ageOf(path)) > olderThanMs) await rm(path, { force: true });
  }
}

function isAbandoned(name: string): boolean {
  const [, pid, host] = /\.(\d+)@(.+)\.[0-9a-f-]{36}\.tmp$/.exec(name) ?? [];
  if (pid === undefined || host !== hostname()) return false;
  return Number(pid) === process.pid || !isAlive(Number(pid));
}

function ageOf(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
}
