import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { DiffusionError, type ErrorCode } from '../../lib/errors/index.js';

/** A directory for one test file, and a way to put bytes into it. */
export class Workshop {
  directory = '';
  #count = 0;

  async open(): Promise<void> {
    this.directory = await mkdtemp(join(tmpdir(), 'node-diffusion-format-'));
  }

  async close(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Writes a file and returns its path; without a name it gets one of its own. */
  async file(bytes: Uint8Array | string, name = `file-${String(++this.#count)}.bin`): Promise<string> {
    const path = join(this.directory, name);
    await writeFile(path, bytes);
    return path;
  }
}

/** The error a promise rejects with, which must be a DiffusionError of the code whose message has every text. */
export async function failure(promise: Promise<unknown>, code: ErrorCode, ...texts: string[]): Promise<DiffusionError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DiffusionError);
  const typed = error as DiffusionError;
  expect({ code: typed.code, message: typed.message }).toMatchObject({ code });
  for (const text of texts) expect(typed.message).toContain(text);
  return typed;
}

export function u16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16LE(value);
  return buffer;
}

export function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

export function u64(value: number | bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return buffer;
}

/** A safetensors file of a header given as text or as an object, and `data` bytes of zeros. */
export function safetensors(header: unknown, data: number): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return Buffer.concat([u64(text.length), text, Buffer.alloc(data)]);
}

/** F16 tensors of the given shapes, one after the other. */
export function safetensorsOf(shapes: Record<string, readonly number[]>, metadata?: Record<string, string>): Buffer {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  let at = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const bytes = 2 * shape.reduce((product, dimension) => product * dimension, 1);
    header[name] = { dtype: 'F16', shape, data_offsets: [at, at + bytes] };
    at += bytes;
  }
  return safetensors(header, at);
}

export interface GgufTensor {
  readonly name: string;
  /** As stored: innermost first. */
  readonly dims: readonly (number | bigint)[];
  readonly type: number;
  readonly offset: number | bigint;
}

export function ggufString(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}

/** A key, its value type and the value's bytes. */
export function ggufKey(key: string, type: number, value: Uint8Array): Buffer {
  return Buffer.concat([ggufString(key), u32(type), value]);
}

export interface GgufParts {
  readonly version?: number;
  readonly keys?: readonly Buffer[];
  readonly tensors?: readonly GgufTensor[];
  readonly data?: number;
  readonly alignment?: number;
}

export function gguf({ version = 3, keys = [], tensors = [], data = 0, alignment = 32 }: GgufParts): Buffer {
  const infos = tensors.map((tensor) =>
    Buffer.concat([
      ggufString(tensor.name),
      u32(tensor.dims.length),
      ...tensor.dims.map(u64),
      u32(tensor.type),
      u64(tensor.offset),
    ]),
  );
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    u32(version),
    u64(tensors.length),
    u64(keys.length),
    ...keys,
    ...infos,
  ]);
  const padding = (alignment - (head.length % alignment)) % alignment;
  return Buffer.concat([head, Buffer.alloc(padding + data)]);
}

/** Writes the opcodes that torch.save uses, by hand. */
export const pkl = {
  proto: (version = 2) => Buffer.from([0x80, version]),
  global: (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`),
  text: (value: string) => Buffer.concat([Buffer.from('X'), u32(Buffer.byteLength(value)), Buffer.from(value)]),
  int: (value: number) => {
    const buffer = Buffer.alloc(5, 'J');
    buffer.writeInt32LE(value, 1);
    return buffer;
  },
  op: (text: string) => Buffer.from(text, 'latin1'),
};

export interface TorchTensor {
  readonly name: string;
  readonly storage: string;
  readonly elements: number;
  readonly shape: readonly number[];
  readonly strides?: readonly number[];
  readonly offset?: number;
  readonly type?: string;
}

export function contiguousStrides(shape: readonly number[]): number[] {
  return shape.map((_, index) => shape.slice(index + 1).reduce((product, dimension) => product * dimension, 1));
}

/** The opcodes that leave one tensor on the stack. */
export function pickledTensor(tensor: TorchTensor): Buffer {
  const { shape, strides = contiguousStrides(shape), offset = 0, type = 'FloatStorage' } = tensor;
  const tuple = (values: readonly number[]) => [pkl.op('('), ...values.map(pkl.int), pkl.op('t')];
  return Buffer.concat([
    pkl.global('torch._utils', '_rebuild_tensor_v2'),
    pkl.op('(('),
    pkl.text('storage'),
    pkl.global('torch', type),
    pkl.text(tensor.storage),
    pkl.text('cpu'),
    pkl.int(tensor.elements),
    pkl.op('tQ'),
    pkl.int(offset),
    ...tuple(shape),
    ...tuple(strides),
    pkl.op('\x89'),
    pkl.global('collections', 'OrderedDict'),
    pkl.op(')RtR'),
  ]);
}

/** The opcodes of a dictionary of text keys. */
export function pickledDict(entries: Record<string, Buffer>): Buffer {
  const items = Object.entries(entries).flatMap(([key, value]) => [pkl.text(key), value]);
  return Buffer.concat([pkl.op('}('), ...items, pkl.op('u')]);
}

export function pickledStateDict(tensors: readonly TorchTensor[]): Buffer {
  return pickledDict(Object.fromEntries(tensors.map((tensor) => [tensor.name, pickledTensor(tensor)])));
}

/** A whole pickle: protocol, the given opcodes, STOP. */
export function pickle(...body: Uint8Array[]): Buffer {
  return Buffer.concat([pkl.proto(), ...body, pkl.op('.')]);
}

export interface ZipFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly method?: number;
  /** Size to claim in place of the true one. */
  readonly size?: number;
}

/** A ZIP archive of stored entries. CRCs are zero: nothing here reads weights. */
export function zip(files: readonly ZipFile[]): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const { name, bytes, method = 0, size = bytes.length } of files) {
    const nameBytes = Buffer.from(name);
    const common = Buffer.concat([u16(0), u16(method), u32(0), u32(0), u32(size), u32(size), u16(nameBytes.length)]);
    const local = Buffer.concat([u32(0x04034b50), u16(20), common, u16(0), nameBytes, bytes]);
    central.push(
      Buffer.concat([
        u32(0x02014b50),
        u16(20),
        u16(20),
        common,
        u16(0),
        u16(0),
        u16(0),
        u16(0),
        u32(0),
        u32(at),
        nameBytes,
      ]),
    );
    locals.push(local);
    at += local.length;
  }
  const directory = Buffer.concat(central);
  const counts = [u16(0), u16(0), u16(files.length), u16(files.length)];
  return Buffer.concat([...locals, directory, u32(0x06054b50), ...counts, u32(directory.length), u32(at), u16(0)]);
}

const storageBytes: Record<string, number> = { FloatStorage: 4, HalfStorage: 2, LongStorage: 8, ByteStorage: 1 };

function storagesOf(tensors: readonly TorchTensor[]): Map<string, { elements: number; bytes: number }> {
  const bytesOf = (tensor: TorchTensor) => tensor.elements * (storageBytes[tensor.type ?? 'FloatStorage'] ?? 4);
  return new Map(tensors.map((tensor) => [tensor.storage, { elements: tensor.elements, bytes: bytesOf(tensor) }]));
}

/** What torch.save writes since 1.6. */
export function torchZip(tensors: readonly TorchTensor[], data = pickle(pickledStateDict(tensors))): Buffer {
  const storages = [...storagesOf(tensors)].map(([key, { bytes }]) => ({
    name: `archive/data/${key}`,
    bytes: Buffer.alloc(bytes),
  }));
  return zip([
    { name: 'archive/data.pkl', bytes: data },
    ...storages,
    { name: 'archive/version', bytes: Buffer.from('3\n') },
  ]);
}

/** What torch.save wrote before 1.6. */
export function torchLegacy(tensors: readonly TorchTensor[], state = pickledStateDict(tensors)): Buffer {
  const storages = [...storagesOf(tensors)].sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat([
    pickle(Buffer.from('8a0a6cfc9c46f9206aa85019', 'hex')),
    pickle(pkl.op('M'), u16(1001)),
    pickle(pickledDict({ protocol_version: pkl.int(1001), little_endian: pkl.op('\x88') })),
    pickle(state),
    pickle(pkl.op(']('), ...storages.map(([key]) => pkl.text(key)), pkl.op('e')),
    ...storages.flatMap(([, { elements, bytes }]) => [u64(elements), Buffer.alloc(bytes)]),
  ]);
}

/** Where to cut a file: every byte of its head, then every `step`. */
export function cuts(length: number, dense = 400, step = 37): number[] {
  return Array.from({ length }, (_, index) => index).filter((at) => at < dense || at % step === 0 || at > length - 40);
}
