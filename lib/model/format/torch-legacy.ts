import { corrupt, quote, unsupported } from './errors.js';
import { PickleError } from './pickle-reader.js';
import { readPickle, type PickleResult } from './pickle.js';
import { isKind, type PickleStorage } from './pickle-values.js';
import type { Source } from './source.js';
import { collectTensors, pickleFailure, placeTensor } from './torch.js';
import { limits, type FileHeader } from './types.js';

/** A pickle of torch.save's magic number 0x1950a86a20f9469cfc6c: PROTO 2, LONG1 of ten bytes, STOP. */
const magic = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');
const protocol = 1001;
/** Each storage is preceded by its number of elements, i64. */
const storageHeader = 8;
const firstRead = 262_144;

interface Pickles {
  readonly state: PickleResult;
  readonly keys: PickleResult;
}

function parse(source: Source, bytes: Buffer): Pickles {
  let at = 0;
  const next = (): PickleResult => {
    const result = readPickle(bytes, at);
    at = result.end;
    return result;
  };
  if (bytes.subarray(0, magic.length).equals(magic)) {
    at = magic.length;
    const version = next().value;
    if (version !== protocol)
      throw new PickleError(
        `the torch.save protocol is ${typeof version === 'number' ? String(version) : 'no number'}, not ${String(protocol)}`,
        magic.length,
      );
    const system = next().value;
    const little = isKind(system, 'dict') ? system.entries.find(([key]) => key === 'little_endian')?.[1] : undefined;
    if (little === false)
      throw unsupported(source, 'its weights are big-endian', 'Save it again on a little-endian machine.');
  }
  const state = next();
  return { state, keys: next() };
}

/** The pickles' length is not written anywhere, so more of the file is read as long as they are not complete. */
async function readPickles(source: Source): Promise<Pickles> {
  for (let length = firstRead; ; length *= 4) {
    const bytes = await source.read(0, Math.min(length, source.size, limits.pickleBytes), 'the pickles');
    try {
      return parse(source, bytes);
    } catch (error) {
      const more = bytes.length < source.size && bytes.length < limits.pickleBytes;
      if (!(error instanceof PickleError && error.cut && more)) throw pickleFailure(source, error, 0);
    }
  }
}

/** torch.save writes the storages in the order of their sorted keys, and the engine relies on that order. */
function sortedKeys(source: Source, pickles: Pickles): string[] {
  const { value, end } = pickles.keys;
  const keys = isKind(value, 'list') ? value.items : [];
  const texts = keys.filter((key): key is string => typeof key === 'string');
  const sorted = texts.every((key, index) => index === 0 || (texts[index - 1] ?? '') < key);
  if (texts.length === 0 || texts.length !== keys.length || !sorted)
    throw corrupt(source, 'the list of storages is not a sorted list of names', end);
  return texts;
}

async function locate(
  source: Source,
  pickles: Pickles,
  storages: ReadonlyMap<string, PickleStorage>,
): Promise<Map<string, number>> {
  const starts = new Map<string, number>();
  let at = pickles.keys.end;
  for (const key of sortedKeys(source, pickles)) {
    const storage = storages.get(key);
    if (storage === undefined) throw corrupt(source, `storage ${quote(key)} is listed but not described`, at);
    const elements = (await source.read(at, storageHeader, `the header of storage ${quote(key)}`)).readBigInt64LE(0);
    if (elements !== BigInt(storage.bytes / storage.elementBytes)) {
      throw corrupt(
        source,
        `storage ${quote(key)} has ${String(elements)} elements, its description says ${String(storage.bytes / storage.elementBytes)}`,
        at,
      );
    }
    at += storageHeader;
    if (at + storage.bytes > source.size)
      throw corrupt(
        source,
        `it ends inside storage ${quote(key)}: ${String(storage.bytes)} bytes are needed, ${String(source.size - at)} are there`,
        at,
      );
    starts.set(key, at);
    at += storage.bytes;
  }
  for (const key of storages.keys()) {
    if (!starts.has(key))
      throw corrupt(source, `storage ${quote(key)} is not in the list of storages`, pickles.keys.end);
  }
  return starts;
}

/**
 * Reads the head of what torch.save wrote before PyTorch 1.6 and still writes on request: pickles of a magic number, the
 * protocol, the system, the state dictionary and the storage keys, then the raw storages. A file without the first three
 * is read too, as the engine does. Source: `_legacy_save` of torch/serialization.py.
 */
export async function readTorchLegacy(source: Source): Promise<FileHeader> {
  const pickles = await readPickles(source);
  const state = collectTensors(source, pickles.state.value, 0);
  const starts = await locate(source, pickles, pickles.state.storages);
  const tensors = [...state.tensors].map(([name, tensor]) =>
    placeTensor(source, name, tensor, starts.get(tensor.storage.key) ?? NaN),
  );
  return { format: 'ckpt', path: source.path, bytes: source.size, tensors, metadata: state.metadata };
}
