import { createHash } from 'node:crypto';
import { dtypeBytes, elementCount, layOut, type TensorSpec } from './layout.js';

/** A tensor whose bytes are made while they are written. */
export interface StreamedTensor extends TensorSpec {
  /** Equal parts that `fill` counts in. Default the first dimension. A part may not exceed 4 MiB. */
  readonly rows?: number;
  /**
   * Writes rows `first` to `first + count - 1` to `out`, which holds exactly those rows, is aligned to the element size
   * and contains old bytes. With the default `rows` a vector's rows are its elements.
   */
  readonly fill: (out: Uint8Array, first: number, count: number) => void;
}

export interface WriteSafetensorsOptions {
  /** Entries of `__metadata__`. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** Called after every block, with bytes written so far and bytes in all. */
  readonly onProgress?: ((bytes: number, totalBytes: number) => void) | undefined;
  /** False leaves the hash out. Default true. */
  readonly hash?: boolean;
}

/** Where the bytes go; a `FileHandle` is one. */
export interface Sink {
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
}

export interface WrittenSafetensors {
  readonly bytes: number;
  /** SHA-256 of the whole file, lower-case hex; empty when `hash` was false. */
  readonly sha256: string;
}

// Large enough that the cost of a call does not show, small enough to leave the event loop free between blocks.
const blockBytes = 4 * 1024 * 1024;

/**
 * Streams a safetensors file to `sink` from its start: bounded memory (two blocks of 4 MiB) whatever the size.
 * Making and hashing a block overlaps with writing the one before. The same input gives the same bytes.
 *
 * @throws the signal's reason when aborted; whatever the file system reports.
 */
export async function writeSafetensors(
  sink: Sink,
  tensors: readonly StreamedTensor[],
  options: WriteSafetensorsOptions = {},
): Promise<WrittenSafetensors> {
  const { header, totalBytes } = layOut(tensors, options.metadata ?? {});
  const hash = options.hash === false ? undefined : createHash('sha256');
  const blocks = [new Uint8Array(blockBytes), new Uint8Array(blockBytes)] as const;
  let pending: Promise<void> = Promise.resolve();
  let written = 0;

  const send = async (bytes: Uint8Array): Promise<void> => {
    hash?.update(bytes);
    await pending;
    options.signal?.throwIfAborted();
    if (written > 0) options.onProgress?.(written, totalBytes);
    pending = writeAll(sink, bytes, written);
    // A failure is seen by the next `await pending`; without this line it would count as unhandled until then.
    pending.catch(() => undefined);
    written += bytes.length;
  };

  try {
    await send(header);
    for await (const block of filledBlocks(tensors, blocks)) await send(block);
  } finally {
    // The caller closes the file next; nothing may still be writing to it.
    await pending.catch(() => undefined);
  }
  await pending;
  options.onProgress?.(totalBytes, totalBytes);
  return { bytes: totalBytes, sha256: hash?.digest('hex') ?? '' };
}

/** Fills the two blocks in turn. A block is reused only after the next one has been taken, which is after its write. */
async function* filledBlocks(
  tensors: readonly StreamedTensor[],
  blocks: readonly [Uint8Array, Uint8Array],
): AsyncGenerator<Uint8Array> {
  let turn: 0 | 1 = 0;
  let used = 0;
  const take = (): Uint8Array => {
    const full = blocks[turn].subarray(0, used);
    turn = turn === 0 ? 1 : 0;
    used = 0;
    return full;
  };
  for (const tensor of tensors) {
    const rows = tensor.rows ?? tensor.shape[0] ?? 1;
    const item = dtypeBytes[tensor.dtype];
    const rowBytes = (elementCount(tensor.shape) / Math.max(rows, 1)) * item;
    if (rowBytes > blockBytes) throw new RangeError(`A row of ${tensor.name} is larger than a block.`);
    if (used % item !== 0) yield take();
    for (let first = 0; first < rows; ) {
      const fits = Math.floor((blockBytes - used) / rowBytes);
      if (fits === 0) {
        yield take();
        continue;
      }
      const count = Math.min(fits, rows - first);
      tensor.fill(blocks[turn].subarray(used, used + count * rowBytes), first, count);
      used += count * rowBytes;
      first += count;
    }
  }
  if (used > 0) yield take();
}

async function writeAll(sink: Sink, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await sink.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
