import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DiffusionError } from '../../errors/index.js';
import { packageRoot } from '../../here.js';
import { embeddedName, narrowSha256 } from './pins.js';

/** A tensor of the narrow file: half-precision bits, or token ids. */
export interface NarrowTensor {
  readonly shape: readonly number[];
  readonly data: Uint16Array;
}

/** The narrow weights as the file in `models/nano` holds them, 27 MB, all in memory. */
export interface NarrowWeights {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, NarrowTensor>;
  /** CLIP token ids of the rows of `…token_embedding.rows`. */
  readonly tokenIds: Int32Array;
}

const tokenIdsName = 'text_encoder.embeddings.token_embedding.ids';

/** Path of the narrow weights inside the installed package. */
export function narrowPath(): string {
  return join(packageRoot, 'models', 'nano', `${embeddedName}.safetensors`);
}

/**
 * Reads the narrow weights. The file is ours and pinned by its hash, so a hash that fits is all the checking it needs.
 *
 * @throws DiffusionError `ERR_MODEL_NOT_FOUND` when the package lacks the file, `ERR_MODEL_CORRUPT` when it was
 * changed.
 */
export async function readNarrow(path = narrowPath()): Promise<NarrowWeights> {
  const hint = 'Install the package again.';
  const bytes = await readFile(path).catch((cause: unknown) => {
    const message = `The weights of the embedded model could not be read at ${path}. ${hint}`;
    throw new DiffusionError('ERR_MODEL_NOT_FOUND', message, { given: path, hint, cause });
  });
  if (createHash('sha256').update(bytes).digest('hex') !== narrowSha256) {
    const message = `The weights of the embedded model at ${path} are not the ones this version ships. ${hint}`;
    throw new DiffusionError('ERR_MODEL_CORRUPT', message, { given: path, hint });
  }
  return parseNarrow(bytes);
}

interface Entry {
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

function parseNarrow(bytes: Buffer): NarrowWeights {
  const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, dataStart)) as Record<string, unknown>;
  const { __metadata__: metadata, ...entries } = header as { __metadata__: Record<string, string> } & Record<
    string,
    Entry
  >;
  const tensors = new Map<string, NarrowTensor>();
  let tokenIds = new Int32Array(0);
  for (const [name, { shape, data_offsets: offsets }] of Object.entries(entries as Record<string, Entry>)) {
    // Copied, because a typed array needs an aligned start and the file's data has none.
    const raw = Uint8Array.from(bytes.subarray(dataStart + offsets[0], dataStart + offsets[1])).buffer;
    if (name === tokenIdsName) tokenIds = new Int32Array(raw);
    else tensors.set(name, { shape, data: new Uint16Array(raw) });
  }
  return { metadata, tensors, tokenIds };
}
