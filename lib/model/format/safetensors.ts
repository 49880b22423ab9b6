import { safetensorsBits } from './dtypes.js';
import { corrupt, quote } from './errors.js';
import { JsonError, JsonScanner } from './json.js';
import { checkLayout, elementCount } from './layout.js';
import { breathe, type Source } from './source.js';
import { parseUsual, type SafetensorsEntry as Entry } from './safetensors-usual.js';
import { limits, type FileHeader, type Metadata, type MetadataValue, type TensorHeader } from './types.js';

/** The eight bytes before the JSON: its length, little endian. */
const prefix = 8;

// eslint-disable-next-line no-control-regex -- these are what is looked for
const controlCharacter = /[\0-\x1f]/;

function integers(json: JsonScanner, what: string, max: number): number[] {
  const values: number[] = [];
  json.expect('[', `at the start of ${what}`);
  if (json.take(']')) return values;
  do {
    if (values.length === max) throw new JsonError(`${what} has more than ${String(max)} numbers`, json.at);
    values.push(json.integer(`a number of ${what}`));
  } while (json.take(','));
  json.expect(']', `at the end of ${what}`);
  return values;
}

function entry(json: JsonScanner, name: string): Entry {
  const start = json.at;
  const of = `of tensor ${quote(name)}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  json.expect('{', `at the start ${of}`);
  if (!json.take('}')) {
    do {
      const key = json.string(`a key ${of}`, limits.nameBytes);
      json.expect(':', `after key ${quote(key)} ${of}`);
      if (key === 'dtype') dtype = json.string(`the dtype ${of}`, limits.nameBytes);
      else if (key === 'shape') shape = integers(json, `the shape ${of}`, limits.dimensions);
      else if (key === 'data_offsets') offsets = integers(json, `data_offsets ${of}`, 2);
      else json.value(`${quote(key)} ${of}`);
    } while (json.take(','));
    json.expect('}', `at the end ${of}`);
  }
  const [begin, end] = offsets ?? [];
  if (dtype === undefined || shape === undefined || begin === undefined || end === undefined) {
    throw new JsonError(`tensor ${quote(name)} lacks dtype, shape or two data_offsets`, start);
  }
  return { dtype, shape, begin, end };
}

function metadata(json: JsonScanner): Metadata {
  const values: Record<string, MetadataValue> = Object.create(null) as Record<string, MetadataValue>;
  json.expect('{', 'at the start of __metadata__');
  if (json.take('}')) return values;
  let count = 0;
  do {
    if (++count > limits.tensors)
      throw new JsonError(`__metadata__ has more than ${String(limits.tensors)} entries`, json.at);
    const key = json.string('a key of __metadata__');
    json.expect(':', `after key ${quote(key)} of __metadata__`);
    values[key] = json.value(`${quote(key)} of __metadata__`);
  } while (json.take(','));
  json.expect('}', 'at the end of __metadata__');
  return values;
}

function tensor(name: string, given: Entry, at: number, dataStart: number, dataBytes: number): TensorHeader {
  const bits = safetensorsBits.get(given.dtype);
  if (bits === undefined) {
    throw new JsonError(
      `tensor ${quote(name)} has the unknown dtype ${quote(given.dtype)}; known are ${[...safetensorsBits.keys()].join(', ')}`,
      at,
    );
  }
  const count = elementCount(given.shape);
  const shown = `${given.dtype} [${given.shape.join(', ')}]`;
  if (count === undefined || !Number.isSafeInteger(count * bits))
    throw new JsonError(`tensor ${quote(name)}, ${shown}, is larger than any file`, at);
  if (given.begin > given.end || given.end > dataBytes) {
    throw new JsonError(
      `data_offsets [${String(given.begin)}, ${String(given.end)}] of tensor ${quote(name)} are outside the ${String(dataBytes)} bytes of weights`,
      at,
    );
  }
  const bytes = given.end - given.begin;
  if (bytes * 8 !== count * bits) {
    throw new JsonError(
      `tensor ${quote(name)}, ${shown}, needs ${String((count * bits) / 8)} bytes but has ${String(bytes)}`,
      at,
    );
  }
  return { name, dtype: given.dtype, shape: given.shape, offset: dataStart + given.begin, bytes };
}

type Contents = Pick<FileHeader, 'tensors' | 'metadata'>;

async function scan(source: Source, header: Buffer): Promise<Contents> {
  const json = new JsonScanner(header);
  const dataStart = prefix + header.length;
  const tensors: TensorHeader[] = [];
  const names = new Set<string>();
  let meta: Metadata = {};
  json.expect('{', 'at the start of the header');
  if (!json.take('}')) {
    do {
      json.peek();
      const at = json.at;
      const name = json.string('a tensor name', limits.nameBytes);
      if (names.has(name)) throw new JsonError(`${quote(name)} appears twice`, at);
      // The engine and ggml hold names as C strings; a NUL in one would be two different names.
      if (controlCharacter.test(name)) throw new JsonError(`the tensor name ${quote(name)} has control characters`, at);
      names.add(name);
      if (names.size > limits.tensors) throw new JsonError(`it lists more than ${String(limits.tensors)} tensors`, at);
      json.expect(':', `after ${quote(name)}`);
      if (name === '__metadata__') meta = metadata(json);
      else tensors.push(tensor(name, entry(json, name), at, dataStart, source.size - dataStart));
      if (names.size % 4096 === 0) await breathe(source.signal);
    } while (json.take(','));
    json.expect('}', 'at the end of the header');
  }
  if (json.peek() !== undefined) throw new JsonError('there is text after the end of the header', json.at);
  return { tensors, metadata: meta };
}

async function parse(source: Source, header: Buffer): Promise<Contents> {
  const dataStart = prefix + header.length;
  const usual = parseUsual(header, (name, given) => tensor(name, given, 0, dataStart, source.size - dataStart));
  const contents = usual ?? (await scan(source, header));
  checkLayout(source, contents.tensors, { from: dataStart, to: source.size });
  return contents;
}

/** Reads a safetensors header. Format: https://huggingface.co/docs/safetensors. Weights must fill the rest of the file without holes. */
export async function readSafetensors(source: Source): Promise<FileHeader> {
  const length = (await source.read(0, prefix, 'the header length')).readBigUInt64LE(0);
  if (length < 2n || length > BigInt(limits.safetensorsHeaderBytes)) {
    throw corrupt(
      source,
      `the safetensors header length is ${String(length)}, allowed are 2 to ${String(limits.safetensorsHeaderBytes)} bytes`,
      0,
    );
  }
  if (length > BigInt(source.size - prefix)) {
    throw corrupt(
      source,
      `the safetensors header is ${String(length)} bytes long but only ${String(source.size - prefix)} bytes follow: the file is cut short`,
      0,
    );
  }
  const header = await source.read(prefix, Number(length), 'the safetensors header');
  try {
    return { format: 'safetensors', path: source.path, bytes: source.size, ...(await parse(source, header)) };
  } catch (error) {
    if (error instanceof JsonError)
      throw corrupt(source, `in the safetensors header ${error.message}`, prefix + error.at);
    throw error;
  }
}
