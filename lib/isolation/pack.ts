import type { Carrier } from './carrier.js';

/** Arrays of at least so many bytes travel through the carrier; smaller ones are quicker in the message. */
const leastBytes = 4096;

const arrays = { Uint8Array, Float32Array, Int32Array } as const;
type ArrayName = keyof typeof arrays;
type AnyArray = InstanceType<(typeof arrays)[ArrayName]>;

/** Stands for an array in a message. */
interface PackedArray {
  readonly $array: ArrayName;
  /** Elements. */
  readonly length: number;
  readonly place: number;
}

/** Stands for a thing that lives in the engine's process. */
interface PackedHandle {
  readonly $handle: number;
}

/**
 * Plain data made ready for a message: large arrays go to the carrier, things that live in the engine's process become
 * handles. Everything else, NaN and small arrays included, structured clone carries as it is.
 * @param handleOf Handle of an object of ours, undefined for any other.
 */
export function pack(value: unknown, carrier: Carrier, handleOf: (value: object) => number | undefined): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const handle = handleOf(value);
  if (handle !== undefined) return { $handle: handle } satisfies PackedHandle;
  if (ArrayBuffer.isView(value)) return packArray(value as AnyArray, carrier);
  if (Array.isArray(value)) return value.map((entry) => pack(entry, carrier, handleOf));
  return mapValues(value, (entry) => pack(entry, carrier, handleOf));
}

/**
 * The data that {@link pack} was given.
 * @param taken Gets the place of every block that was read and can be freed.
 */
export function unpack(
  value: unknown,
  carrier: Carrier,
  taken: number[],
  objectOf: (handle: number) => unknown,
): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map((entry) => unpack(entry, carrier, taken, objectOf));
  if ('$handle' in value) return objectOf((value as PackedHandle).$handle);
  if ('$array' in value) return unpackArray(value as PackedArray, carrier, taken);
  return mapValues(value, (entry) => unpack(entry, carrier, taken, objectOf));
}

function packArray(array: AnyArray, carrier: Carrier): unknown {
  const name = nameOf(array);
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const place = bytes.byteLength < leastBytes ? null : carrier.put(bytes);
  // A Buffer would be cloned as one; what leaves here is what the contract says.
  if (place === null) return name === 'Uint8Array' ? bytes : array;
  return { $array: name, length: array.length, place } satisfies PackedArray;
}

function unpackArray({ $array, length, place }: PackedArray, carrier: Carrier, taken: number[]): AnyArray {
  const array = new arrays[$array](length);
  carrier.take(place, new Uint8Array(array.buffer));
  taken.push(place);
  return array;
}

function nameOf(array: AnyArray): ArrayName {
  for (const name of Object.keys(arrays) as ArrayName[]) if (array instanceof arrays[name]) return name;
  throw new TypeError(`Cannot send a ${Object.prototype.toString.call(array)} to the engine's process`);
}

function mapValues(value: object, map: (entry: unknown) => unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, map(entry)]));
}
