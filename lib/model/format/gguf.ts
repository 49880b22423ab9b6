import { Cursor } from './cursor.js';
import { corrupt, quote, unsupported } from './errors.js';
import { ggmlTypes, removedGgmlTypes } from './ggml-types.js';
import { readKeyValue, readString, u32Type } from './gguf-values.js';
import { checkLayout, elementCount } from './layout.js';
import type { Source } from './source.js';
import { limits, type FileHeader, type Metadata, type MetadataValue, type TensorHeader } from './types.js';

const defaultAlignment = 32;
/** Smallest tensor info: name length, dimension count, type, offset. Smallest key-value: key length, one byte, type, one byte. */
const smallestInfo = 24;
const smallestKeyValue = 14;

async function version(source: Source, cursor: Cursor): Promise<void> {
  const value = await cursor.u32('the GGUF version');
  if (value === 2 || value === 3) return;
  if (value !== 0 && (value & 0xffff) === 0) {
    throw unsupported(
      source,
      'it is a big-endian GGUF file',
      'Convert it with gguf_convert_endian.py of llama.cpp, or take the little-endian file.',
    );
  }
  if (value === 0) throw corrupt(source, 'the GGUF version is 0', 4);
  throw unsupported(
    source,
    `it is GGUF version ${String(value)}; versions 2 and 3 are read`,
    'Convert it again with a current converter.',
  );
}

async function readMetadata(
  source: Source,
  cursor: Cursor,
  count: number,
): Promise<{ metadata: Metadata; alignment: number }> {
  const metadata: Record<string, MetadataValue> = Object.create(null) as Record<string, MetadataValue>;
  let alignment = defaultAlignment;
  for (let i = 0; i < count; i++) {
    const at = cursor.position;
    const { key, typeId, value } = await readKeyValue(source, cursor, i);
    if (key in metadata) throw corrupt(source, `metadata ${quote(key)} appears twice`, at);
    metadata[key] = value;
    if (key !== 'general.alignment') continue;
    // ggml aborts the process when this is not a u32, so it is looked at closely here.
    const good = typeId === u32Type && typeof value === 'number' && value > 0 && (value & (value - 1)) === 0;
    if (!good) throw corrupt(source, 'general.alignment is not a u32 that is a power of two', at);
    alignment = value;
  }
  return { metadata, alignment };
}

interface Info {
  readonly name: string;
  readonly at: number;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly relative: number;
  readonly bytes: number;
}

async function tensorInfo(source: Source, cursor: Cursor, index: number): Promise<Info> {
  const at = cursor.position;
  const name = await readString(cursor, `the name of tensor ${String(index)}`, limits.nameBytes);
  const of = `of tensor ${quote(name)}`;
  if (name === '' || [...name].some((character) => character < ' '))
    throw corrupt(source, `tensor ${String(index)} has the bad name ${quote(name)}`, at);
  const dimensions = await cursor.u32(`the number of dimensions ${of}`);
  if (dimensions > limits.dimensions)
    throw corrupt(
      source,
      `tensor ${quote(name)} has ${String(dimensions)} dimensions, at most ${String(limits.dimensions)} are allowed`,
      at,
    );
  const stored: number[] = [];
  for (let i = 0; i < dimensions; i++) {
    const value = await cursor.i64(`dimension ${String(i)} ${of}`);
    // ggml divides by dimensions when it checks for overflow; a zero ends the process with SIGFPE.
    if (value < 1n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw corrupt(source, `dimension ${String(i)} ${of} is ${String(value)}`, cursor.position - 8);
    }
    stored.push(Number(value));
  }
  const typeId = await cursor.u32(`the type ${of}`);
  const type = ggmlTypes.get(typeId);
  if (type === undefined) {
    const removed = removedGgmlTypes.get(typeId);
    if (removed !== undefined)
      throw unsupported(
        source,
        `tensor ${quote(name)} has the type ${removed}, which ggml no longer reads`,
        'Quantise the model again, to q4_0 for example.',
      );
    throw corrupt(source, `tensor ${quote(name)} has the unknown ggml type ${String(typeId)}`, cursor.position - 4);
  }
  if ((stored[0] ?? 1) % type.blockSize !== 0) {
    throw corrupt(
      source,
      `rows of tensor ${quote(name)} have ${String(stored[0] ?? 1)} elements, not a multiple of the ${String(type.blockSize)} of a ${type.name} block`,
      at,
    );
  }
  const count = elementCount(stored);
  const bytes = count === undefined ? NaN : (count / type.blockSize) * type.blockBytes;
  if (!Number.isSafeInteger(bytes))
    throw corrupt(source, `tensor ${quote(name)}, ${type.name} [${stored.join(', ')}], is larger than any file`, at);
  const relative = await cursor.count(`the offset ${of}`, Number.MAX_SAFE_INTEGER);
  return { name, at, dtype: type.name, shape: stored.reverse(), relative, bytes };
}

function place(source: Source, info: Info, dataStart: number, alignment: number): TensorHeader {
  if (info.relative % alignment !== 0) {
    throw corrupt(
      source,
      `the offset ${String(info.relative)} of tensor ${quote(info.name)} is not a multiple of the alignment ${String(alignment)}`,
      info.at,
    );
  }
  const offset = dataStart + info.relative;
  if (offset + info.bytes > source.size) {
    throw corrupt(
      source,
      `tensor ${quote(info.name)} ends at byte ${String(offset + info.bytes)} but the file has ${String(source.size)}: it is cut short or the offset is wrong`,
      info.at,
    );
  }
  return { name: info.name, dtype: info.dtype, shape: info.shape, offset, bytes: info.bytes };
}

/**
 * Reads a GGUF header, version 2 or 3, little endian. Format: docs/gguf.md of ggml, and gguf.cpp for what it refuses.
 * Shapes are turned round, so that the outermost dimension is first. Holes between tensors are allowed, overlaps are not.
 */
export async function readGguf(source: Source): Promise<FileHeader> {
  const cursor = new Cursor(source, 4);
  await version(source, cursor);
  const tensorCount = await cursor.count('the number of tensors', limits.tensors);
  const keyCount = await cursor.count('the number of metadata keys', limits.ggufKeyValues);
  if (tensorCount * smallestInfo + keyCount * smallestKeyValue > cursor.remaining) {
    throw corrupt(
      source,
      `${String(tensorCount)} tensors and ${String(keyCount)} metadata keys do not fit in its ${String(source.size)} bytes`,
      8,
    );
  }
  const { metadata, alignment } = await readMetadata(source, cursor, keyCount);
  const infos: Info[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const info = await tensorInfo(source, cursor, i);
    if (names.has(info.name)) throw corrupt(source, `tensor ${quote(info.name)} appears twice`, info.at);
    names.add(info.name);
    infos.push(info);
  }
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = infos.map((info) => place(source, info, dataStart, alignment));
  checkLayout(source, tensors);
  return { format: 'gguf', path: source.path, bytes: source.size, tensors, metadata };
}
