import { join } from 'node:path';
import { checkOptions, func, optional, signal } from '../../options/index.js';
import { cacheDir } from '../cacheDir.js';
import type { StreamedTensor } from '../safetensors/index.js';
import { rethrow } from './failure.js';
import { liftedCheckpoint, liftedTaesd } from './lift.js';
import { withFileLock } from './lock.js';
import { type NarrowWeights, readNarrow } from './narrow.js';
import { checkpointBytes, checkpointSha256, embeddedName, taesdBytes, taesdSha256 } from './pins.js';
import { isIntact, makeDirectory, type PinnedFile, removeLeftovers, requireFreeSpace, writePinned } from './store.js';

export interface EmbeddedProgress {
  /** `wait`: another process writes; `verify`: files that are there are hashed; `write`: they are made. */
  readonly phase: 'wait' | 'verify' | 'write';
  /** Bytes done of `totalBytes`; both 0 while waiting. */
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface EnsureEmbeddedOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: EmbeddedProgress) => void) | undefined;
}

const ensureSpec = {
  signal: optional(signal()),
  onProgress: optional(func<(progress: EmbeddedProgress) => void>()),
} as const;

/** The lifted files: absolute paths and SHA-256, lower-case hex. */
export interface EmbeddedModelFiles {
  readonly checkpoint: string;
  readonly taesd: string;
  readonly sha256: { readonly checkpoint: string; readonly taesd: string };
}

/** A pinned file and what it is made of; `Source` is read once, and only when something has to be written. */
export interface MadeFile<Source> extends PinnedFile {
  readonly make: (source: Source) => StreamedTensor[];
}

/** The name carries the content's hash, so that two versions of this package never fight over one file. */
export function embeddedDirectory(): string {
  return join(cacheDir(), 'embedded', `${embeddedName}-${checkpointSha256.slice(0, 12)}`);
}

export function embeddedFiles(): {
  readonly checkpoint: MadeFile<NarrowWeights>;
  readonly taesd: MadeFile<NarrowWeights>;
} {
  const directory = embeddedDirectory();
  const path = (part: string): string => join(directory, `${embeddedName}-${part}.safetensors`);
  return {
    checkpoint: { path: path('sd1-tiny'), bytes: checkpointBytes, sha256: checkpointSha256, make: liftedCheckpoint },
    taesd: { path: path('taesd'), bytes: taesdBytes, sha256: taesdSha256, make: liftedTaesd },
  };
}

/**
 * Makes sure that the embedded model lies in the cache directory as standard files: an SD1 "tiny UNet" checkpoint
 * (893 MB, fp16) and a TAESD (5 MB). Writes them on first use, in seconds; later calls look at size and time only. A
 * damaged file is written again. Processes that come at the same time wait for the first one.
 *
 * @throws DiffusionError `ERR_MODEL_NOT_LOADED` when the cache directory cannot be written or its disk is too small,
 * `ERR_MODEL_NOT_FOUND` or `ERR_MODEL_CORRUPT` when the installed package is damaged; the signal's reason when aborted.
 */
export async function ensureEmbeddedModel(options: EnsureEmbeddedOptions = {}): Promise<EmbeddedModelFiles> {
  const { checkpoint, taesd } = embeddedFiles();
  const checked = checkOptions('ensureEmbeddedModel', options, ensureSpec);
  await ensureFiles(embeddedDirectory(), [checkpoint, taesd], () => readNarrow(), checked);
  const sha256 = { checkpoint: checkpoint.sha256, taesd: taesd.sha256 };
  return { checkpoint: checkpoint.path, taesd: taesd.path, sha256 };
}

/** The work of {@link ensureEmbeddedModel} for any files; all of them lie in `directory`. */
export async function ensureFiles<Source>(
  directory: string,
  files: readonly MadeFile<Source>[],
  read: () => Promise<Source>,
  options: EnsureEmbeddedOptions = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  try {
    if ((await missing(files, options)).length === 0) return;
    await makeDirectory(directory);
    const onWait = (): void => options.onProgress?.({ phase: 'wait', bytes: 0, totalBytes: 0 });
    await withFileLock(join(directory, 'lock'), { signal: options.signal, onWait }, async () => {
      await removeLeftovers(directory);
      // Looked at again: whoever held the lock before may have made them.
      await writeMissing(await missing(files, options), directory, read, options);
    });
  } catch (error) {
    rethrow(directory, error);
  }
}

async function missing<File extends PinnedFile>(
  files: readonly File[],
  options: EnsureEmbeddedOptions,
): Promise<File[]> {
  const found: File[] = [];
  for (const file of files) {
    const onProgress = report('verify', file.bytes, 0, options);
    if (!(await isIntact(file, { signal: options.signal, onProgress }))) found.push(file);
  }
  return found;
}

// Room for the file system's own needs beside the files.
const spareBytes = 32 * 1024 * 1024;

async function writeMissing<Source>(
  files: readonly MadeFile<Source>[],
  directory: string,
  read: () => Promise<Source>,
  options: EnsureEmbeddedOptions,
): Promise<void> {
  if (files.length === 0) return;
  const totalBytes = files.reduce((sum, file) => sum + file.bytes, 0);
  await requireFreeSpace(directory, totalBytes + spareBytes);
  const source = await read();
  let before = 0;
  for (const file of files) {
    const onProgress = report('write', totalBytes, before, options);
    await writePinned(file, file.make(source), { signal: options.signal, onProgress });
    before += file.bytes;
  }
}

function report(
  phase: EmbeddedProgress['phase'],
  totalBytes: number,
  before: number,
  { onProgress }: EnsureEmbeddedOptions,
): ((bytes: number) => void) | undefined {
  return (
    onProgress &&
    ((bytes) => {
      onProgress({ phase, bytes: before + bytes, totalBytes });
    })
  );
}
