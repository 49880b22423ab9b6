import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { DiffusionError } from '../errors/index.js';
import { fileSha256, fileStamp, type Metadata, readHeader, type TensorHeader } from '../model/index.js';
import { groupModules, type LoraModule } from './keys.js';

/** A LoRA file as its header tells it, with its identity. */
export interface LoraFile {
  readonly path: string;
  /** SHA-256 of the file. */
  readonly sha256: string;
  readonly shortHash: string;
  /** `size:mtimeNs:inode`. */
  readonly stamp: string;
  readonly metadata: Metadata;
  readonly modules: readonly LoraModule[];
  /** Keys of no known form. */
  readonly rest: readonly string[];
  /** Values of the tensors of one element (alpha, scale). */
  readonly scalars: ReadonlyMap<string, number>;
}

const opened = new Map<string, LoraFile>();
const mostOpened = 64;

/** A file's name without directory and extension. */
export function stem(path: string): string {
  return basename(path).replace(/\.[^.]+$/, '');
}

/**
 * Reads a header and hashes the file; remembered while path and stamp stay the same.
 * @throws DiffusionError as `readHeader` and `fileSha256`.
 */
export async function openLora(path: string, field: string, signal: AbortSignal | undefined): Promise<LoraFile> {
  const before = await fileStamp(path).catch(() => '');
  const known = opened.get(path);
  if (known?.stamp === before) return known;
  const header = await readHeader(path, { field, ...(signal === undefined ? {} : { signal }) });
  const sha256 = await fileSha256(path, { signal });
  const { modules, rest } = groupModules(header.tensors);
  const scalars = await readScalars(path, header.tensors);
  const dataStart = header.format === 'safetensors' ? Math.min(...header.tensors.map(({ offset }) => offset)) : 0;
  const shortHash = await shortHashOf(path, header.metadata, sha256, dataStart, signal);
  if ((await fileStamp(path)) !== before) {
    const hint = 'Wait until it is complete.';
    throw new DiffusionError('ERR_MODEL_CORRUPT', `The file ${path} changed while it was read. ${hint}`, {
      field,
      given: path,
      hint,
    });
  }
  const file: LoraFile = { path, sha256, shortHash, stamp: before, metadata: header.metadata, modules, rest, scalars };
  opened.delete(path);
  opened.set(path, file);
  for (const oldest of opened.keys()) {
    if (opened.size <= mostOpened) break;
    opened.delete(oldest);
  }
  return file;
}

/** A1111's hash of a LoRA: what kohya wrote into the file, else SHA-256 of the tensors without the header; 12 digits. */
async function shortHashOf(
  path: string,
  metadata: Metadata,
  sha256: string,
  dataStart: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const length = 12;
  const written = metadata.sshs_model_hash;
  if (typeof written === 'string' && /^[0-9a-f]{12,}$/.test(written)) return written.slice(0, length);
  if (dataStart === 0) return sha256.slice(0, length);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { start: dataStart, highWaterMark: 1 << 20 })) {
    signal?.throwIfAborted();
    hash.update(chunk as Buffer);
  }
  return hash.digest('hex').slice(0, length);
}

const scalarBytes: Readonly<Record<string, number>> = { F64: 8, F32: 4, I64: 8, I32: 4, F16: 2, BF16: 2 };

async function readScalars(path: string, tensors: readonly TensorHeader[]): Promise<Map<string, number>> {
  const values = new Map<string, number>();
  const wanted = tensors.filter(({ dtype, shape }) => dtype in scalarBytes && shape.every((size) => size === 1));
  if (wanted.length === 0) return values;
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(8);
    for (const { name, dtype, offset } of wanted) {
      await file.read(buffer, 0, scalarBytes[dtype] ?? 8, offset);
      values.set(name, scalar(buffer, dtype));
    }
  } finally {
    await file.close();
  }
  return values;
}

function scalar(buffer: Buffer, dtype: string): number {
  if (dtype === 'F64') return buffer.readDoubleLE(0);
  if (dtype === 'F32') return buffer.readFloatLE(0);
  if (dtype === 'I64') return Number(buffer.readBigInt64LE(0));
  if (dtype === 'I32') return buffer.readInt32LE(0);
  const bits = buffer.readUInt16LE(0);
  if (dtype === 'BF16') {
    buffer.writeUInt32LE(bits * 65536, 0);
    return buffer.readFloatLE(0);
  }
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  const size = exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
  return bits >> 15 === 1 ? -size : size;
}

/** What a file says it is made for, as far as its keys and metadata tell; for messages. */
export function architectureOf({ metadata, modules }: LoraFile): string {
  const said = metadata['modelspec.architecture'] ?? metadata.ss_base_model_version;
  if (typeof said === 'string' && said !== '') return said;
  const has = (pattern: RegExp): boolean => modules.some(({ base }) => pattern.test(base));
  if (has(/double_blocks|single_transformer_blocks/)) return 'Flux';
  if (has(/joint_blocks/)) return 'SD3';
  const cross = modules.find(({ base, parts }) => /attn2[._]to_[kv]/.test(base) && parts.has('down'));
  const width = cross?.parts.get('down')?.shape[1];
  if (width === 768) return 'SD 1.x';
  if (width === 1024) return 'SD 2.x';
  if (width === 2048 || has(/^lora_te2_|^text_encoder_2/)) return 'SDXL';
  return 'an unknown architecture';
}
