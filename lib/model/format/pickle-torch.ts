import { torchStorages } from './dtypes.js';
import { quote } from './errors.js';
import { multiply } from './layout.js';
import { orderedDict, rebuildParameter, rebuildTensor } from './pickle-globals.js';
import { isKind, type PickleStorage, type PickleTensor, type PickleValue } from './pickle-values.js';
import { limits } from './types.js';

/** Makes an error at the opcode being read. */
interface Failing {
  fail(what: string): Error;
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Persistent id of torch.save: ('storage', type, key, device, elements[, view]). */
export function buildStorage(pickle: Failing, id: PickleValue): PickleStorage {
  const [tag, type, key, , elements, view] = isKind(id, 'tuple') ? id.items : [];
  const storage = isKind(type, 'global') ? torchStorages.get(type.name) : undefined;
  if (tag !== 'storage' || storage === undefined || (typeof key !== 'string' && !isCount(key)) || !isCount(elements)) {
    throw pickle.fail('the pickle describes a storage that torch.save would not write');
  }
  if (view !== undefined && view !== null)
    throw pickle.fail('the pickle uses storage views, which PyTorch no longer writes');
  const bytes = multiply(elements, storage.bytes);
  if (bytes === undefined)
    throw pickle.fail(`storage ${quote(String(key))} has ${String(elements)} elements, more than any file`);
  return { kind: 'storage', key: String(key), dtype: storage.dtype, elementBytes: storage.bytes, bytes };
}

function counts(pickle: Failing, value: PickleValue | undefined, what: string): readonly number[] {
  const items: readonly PickleValue[] = isKind(value, 'tuple') ? value.items : [null];
  if (!items.every(isCount))
    throw pickle.fail(`the pickle has a tensor whose ${what} is not a tuple of non-negative integers`);
  if (items.length > limits.dimensions)
    throw pickle.fail(
      `the pickle has a tensor with ${String(items.length)} dimensions, at most ${String(limits.dimensions)} are allowed`,
    );
  return items;
}

/** Arguments of `_rebuild_tensor_v2`: (storage, offset in elements, size, stride, requires_grad, hooks). */
function tensor(pickle: Failing, items: readonly PickleValue[]): PickleTensor {
  const [storage, offset, size, stride] = items;
  if (!isKind(storage, 'storage') || !isCount(offset))
    throw pickle.fail('the pickle has a tensor without a storage or with a bad offset');
  const shape = counts(pickle, size, 'size');
  const strides = counts(pickle, stride, 'stride');
  if (shape.length !== strides.length)
    throw pickle.fail('the pickle has a tensor with more dimensions than strides, or fewer');
  return { kind: 'tensor', storage, offset, shape, strides };
}

function pairs(value: PickleValue | undefined): [PickleValue, PickleValue][] {
  if (!isKind(value, 'list')) return [];
  const entries: [PickleValue, PickleValue][] = [];
  for (const item of value.items) {
    const [key, entry] = isKind(item, 'list') || isKind(item, 'tuple') ? item.items : [];
    if (key !== undefined && entry !== undefined) entries.push([key, entry]);
  }
  return entries;
}

/** Meaning of a call in a pickle. Calls without one become opaque; nothing is ever called. */
export function reduce(pickle: Failing, callable: PickleValue, args: PickleValue): PickleValue {
  if (!isKind(callable, 'global')) {
    // numpy's dtype and scalar are opaque and may be called upon further.
    if (isKind(callable, 'opaque')) return { kind: 'opaque' };
    throw pickle.fail('the pickle calls something that is not a Python name');
  }
  if (!isKind(args, 'tuple')) throw pickle.fail(`the pickle calls ${callable.name} without a tuple of arguments`);
  if (callable.name === orderedDict) return { kind: 'dict', entries: pairs(args.items[0]) };
  if (rebuildTensor.has(callable.name)) return tensor(pickle, args.items);
  if (rebuildParameter.has(callable.name)) {
    const [data] = args.items;
    if (isKind(data, 'tensor')) return data;
    throw pickle.fail('the pickle has a parameter without a tensor');
  }
  return { kind: 'opaque' };
}
