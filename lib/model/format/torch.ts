import { corrupt, quote, unsupported } from './errors.js';
import { elementCount } from './layout.js';
import { PickleError } from './pickle-reader.js';
import { isKind, type PickleDict, type PickleTensor, type PickleValue } from './pickle-values.js';
import type { Source } from './source.js';
import { limits, type Metadata, type MetadataValue, type TensorHeader } from './types.js';

const pickleHint =
  'Take a .safetensors file of this model, or convert it with a tool you trust; a .ckpt is a program and is not run here.';
const longestText = 65_536;

/** A pickle's error as one about the file; `start` is where the pickle's buffer begins in it. */
export function pickleFailure(source: Source, error: unknown, start: number): unknown {
  return error instanceof PickleError
    ? corrupt(source, error.message, start + error.at, error.cut ? undefined : pickleHint)
    : error;
}

export interface StateDict {
  readonly tensors: ReadonlyMap<string, PickleTensor>;
  readonly metadata: Metadata;
}

function keyText(key: PickleValue): string | undefined {
  return typeof key === 'string' ? key : typeof key === 'number' ? String(key) : undefined;
}

/**
 * Tensors of a state dictionary, named as the engine names them: by the innermost key, whatever wraps the dictionary
 * (`state_dict`, `params_ema`), the last of equal names winning. Inside lists and tuples, where the engine does not look
 * but hypernetworks keep their layers, the whole path is the name.
 */
export function collectTensors(source: Source, root: PickleValue, start: number): StateDict {
  const tensors = new Map<string, PickleTensor>();
  const metadata: Record<string, MetadataValue> = Object.create(null) as Record<string, MetadataValue>;
  const seen = new Set<PickleValue>();
  const bad = (what: string) => corrupt(source, what, start, pickleHint);
  const add = (name: string, tensor: PickleTensor) => {
    if (Buffer.byteLength(name) > limits.nameBytes || name === '' || [...name].some((character) => character < ' '))
      throw bad(`the pickle has the bad tensor name ${quote(name)}`);
    tensors.set(name, tensor);
    if (tensors.size > limits.tensors) throw bad(`the pickle has more than ${String(limits.tensors)} tensors`);
  };
  const visit = (value: PickleValue, path: string, inList: boolean, depth: number): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    if (depth > limits.pickleDepth) throw bad(`the pickle is nested deeper than ${String(limits.pickleDepth)} levels`);
    seen.add(value);
    if (value.kind === 'opaque' && value.state !== undefined) visit(value.state, path, inList, depth + 1);
    if (value.kind === 'list' || value.kind === 'tuple') {
      value.items.forEach((item, index) => {
        const name = path === '' ? String(index) : `${path}.${String(index)}`;
        if (isKind(item, 'tensor')) add(name, item);
        else visit(item, name, true, depth + 1);
      });
    }
    if (value.kind === 'dict') dictionary(value, path, inList, depth);
  };
  const dictionary = (dict: PickleDict, path: string, inList: boolean, depth: number): void => {
    for (const [key, entry] of dict.entries) {
      const text = keyText(key);
      if (text === undefined) continue;
      const full = path === '' ? text : `${path}.${text}`;
      if (isKind(entry, 'tensor')) add(inList ? full : text, entry);
      else if (typeof entry === 'object' && entry !== null) visit(entry, full, inList, depth + 1);
      else if (depth === 0 && (typeof entry !== 'string' || entry.length <= longestText)) metadata[text] = entry;
    }
  };
  visit(root, '', false, 0);
  if (tensors.size === 0) throw unsupported(source, 'its pickle has no tensors in a state dictionary', pickleHint);
  return { tensors, metadata };
}

function contiguous(tensor: PickleTensor): boolean {
  if (tensor.shape.includes(0)) return true;
  let expected = 1;
  for (let i = tensor.shape.length - 1; i >= 0; i--) {
    if (tensor.strides[i] !== expected) return false;
    expected *= tensor.shape[i] ?? 1;
  }
  return true;
}

/** Places a tensor in its storage, which starts at `storageStart` of the file. The engine reads contiguous tensors only. */
export function placeTensor(source: Source, name: string, tensor: PickleTensor, storageStart: number): TensorHeader {
  const { storage, shape } = tensor;
  const count = elementCount(shape);
  const shown = `tensor ${quote(name)}, ${storage.dtype} [${shape.join(', ')}]`;
  const bytes = (count ?? Infinity) * storage.elementBytes;
  const offset = tensor.offset * storage.elementBytes;
  if (offset + bytes > storage.bytes || !Number.isSafeInteger(offset + bytes)) {
    throw corrupt(
      source,
      `${shown}, ends outside its storage ${quote(storage.key)} of ${String(storage.bytes)} bytes`,
      storageStart,
    );
  }
  if (!contiguous(tensor)) {
    throw unsupported(
      source,
      `${shown}, is stored with the strides [${tensor.strides.join(', ')}]`,
      'Save it again after .contiguous(), as safetensors for example.',
    );
  }
  return { name, dtype: storage.dtype, shape, offset: storageStart + offset, bytes };
}
