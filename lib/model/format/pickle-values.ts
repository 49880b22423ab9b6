/**
 * What a pickle becomes: plain descriptions. Nothing of Python is run; a call is recorded only where it means a tensor
 * or a dictionary, and is an `opaque` otherwise.
 */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | PickleTuple
  | PickleList
  | PickleDict
  | PickleGlobal
  | PickleStorage
  | PickleTensor
  | PickleOpaque;

export interface PickleTuple {
  readonly kind: 'tuple';
  readonly items: readonly PickleValue[];
}

/** A list, a set or a frozen set. */
export interface PickleList {
  readonly kind: 'list';
  readonly items: PickleValue[];
}

export interface PickleDict {
  readonly kind: 'dict';
  readonly entries: [PickleValue, PickleValue][];
}

/** A Python name from the allow list, e.g. `collections.OrderedDict`. */
export interface PickleGlobal {
  readonly kind: 'global';
  readonly name: string;
}

/** A block of raw weights in the same file. */
export interface PickleStorage {
  readonly kind: 'storage';
  readonly key: string;
  readonly dtype: string;
  readonly elementBytes: number;
  readonly bytes: number;
}

export interface PickleTensor {
  readonly kind: 'tensor';
  readonly storage: PickleStorage;
  /** Elements from the start of the storage. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** Something of Python that has no meaning here: a numpy scalar, bytes, a module's state. */
export interface PickleOpaque {
  readonly kind: 'opaque';
  /** What was to be set on it (`__setstate__`); a `ParameterDict` keeps its tensors there. */
  state?: PickleValue;
}

export function isKind<K extends 'tuple' | 'list' | 'dict' | 'global' | 'storage' | 'tensor' | 'opaque'>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleValue, { kind: K }> {
  return typeof value === 'object' && value !== null && value.kind === kind;
}
