import type { Cursor } from './cursor.js';
import { corrupt, quote, unsupported } from './errors.js';
import type { Source } from './source.js';
import { limits, type MetadataScalar, type MetadataValue } from './types.js';

interface ValueType {
  readonly name: string;
  /** Bytes of a value; 0: it says so itself. */
  readonly bytes: number;
  read(cursor: Cursor, what: string): Promise<number | bigint>;
}

/** `enum gguf_type` of gguf.h, without strings (8) and arrays (9). */
const scalarTypes: ReadonlyMap<number, ValueType> = new Map<number, ValueType>([
  [0, { name: 'u8', bytes: 1, read: (cursor, what) => cursor.u8(what) }],
  [1, { name: 'i8', bytes: 1, read: (cursor, what) => cursor.i8(what) }],
  [2, { name: 'u16', bytes: 2, read: (cursor, what) => cursor.u16(what) }],
  [3, { name: 'i16', bytes: 2, read: (cursor, what) => cursor.i16(what) }],
  [4, { name: 'u32', bytes: 4, read: (cursor, what) => cursor.u32(what) }],
  [5, { name: 'i32', bytes: 4, read: (cursor, what) => cursor.i32(what) }],
  [6, { name: 'f32', bytes: 4, read: (cursor, what) => cursor.f32(what) }],
  [7, { name: 'bool', bytes: 1, read: (cursor, what) => cursor.u8(what) }],
  [10, { name: 'u64', bytes: 8, read: (cursor, what) => cursor.u64(what) }],
  [11, { name: 'i64', bytes: 8, read: (cursor, what) => cursor.i64(what) }],
  [12, { name: 'f64', bytes: 8, read: (cursor, what) => cursor.f64(what) }],
]);
const boolType = 7;
const stringType = 8;
const arrayType = 9;
export const u32Type = 4;

const decoder = new TextDecoder('utf-8');

/** A GGUF string: u64 length, then bytes. Tokenizers have bytes that are no UTF-8; they are shown as U+FFFD. */
export async function readString(cursor: Cursor, what: string, max: number): Promise<string> {
  const length = await cursor.count(
    `the length of ${what}`,
    Math.min(max, Math.max(0, limits.ggufKeptBytes - cursor.taken)),
  );
  return decoder.decode(await cursor.bytes(length, what));
}

async function scalar(source: Source, cursor: Cursor, typeId: number, what: string): Promise<MetadataScalar> {
  const at = cursor.position;
  if (typeId === stringType) return readString(cursor, what, limits.ggufStringBytes);
  const type = scalarTypes.get(typeId);
  if (type === undefined) throw corrupt(source, `${what} has the unknown value type ${String(typeId)}`, at);
  const value = await type.read(cursor, what);
  if (typeId === boolType) {
    if (value !== 0 && value !== 1) throw corrupt(source, `${what} is a boolean with the value ${String(value)}`, at);
    return value === 1;
  }
  if (typeof value === 'number') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

async function array(source: Source, cursor: Cursor, what: string): Promise<MetadataValue> {
  const at = cursor.position;
  const typeId = await cursor.u32(`the element type of ${what}`);
  if (typeId === arrayType)
    throw unsupported(
      source,
      `${what} is an array of arrays`,
      'ggml does not read such a file; write the metadata without nested arrays.',
    );
  const type = scalarTypes.get(typeId);
  if (type === undefined && typeId !== stringType)
    throw corrupt(source, `${what} has the unknown element type ${String(typeId)}`, at);
  // A string takes at least the eight bytes of its length, so a count is checked before any loop.
  const elementBytes = type?.bytes ?? 8;
  const most = Math.min(
    Math.floor(cursor.remaining / elementBytes),
    type === undefined ? limits.ggufArrayStrings : Number.MAX_SAFE_INTEGER,
  );
  const length = await cursor.count(`the length of ${what}`, most);
  if (length > limits.keptArray) {
    if (type === undefined) {
      for (let i = 0; i < length; i++) {
        const bytes = await cursor.count(`the length of ${what}[${String(i)}]`, limits.ggufStringBytes);
        cursor.skip(bytes, what);
      }
    } else {
      cursor.skip(length * type.bytes, what);
    }
    return { arrayOf: type?.name ?? 'string', length };
  }
  const values: MetadataScalar[] = [];
  for (let i = 0; i < length; i++) values.push(await scalar(source, cursor, typeId, `${what}[${String(i)}]`));
  return values;
}

/** Reads one key and its value; `typeId` is the value's type in the file. */
export async function readKeyValue(
  source: Source,
  cursor: Cursor,
  index: number,
): Promise<{ key: string; typeId: number; value: MetadataValue }> {
  const at = cursor.position;
  const key = await readString(cursor, `metadata key ${String(index)}`, limits.ggufKeyBytes);
  if (key === '') throw corrupt(source, `metadata key ${String(index)} is empty`, at);
  const what = `metadata ${quote(key)}`;
  const typeId = await cursor.u32(`the type of ${what}`);
  const value = typeId === arrayType ? await array(source, cursor, what) : await scalar(source, cursor, typeId, what);
  return { key, typeId, value };
}
