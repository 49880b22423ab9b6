import { type FileHandle, open } from 'node:fs/promises';
import { RandomHalves } from './random.js';
import { RandomQuants } from './quants.js';
import type { SyntheticTensor } from './tensors.js';

export type QuantType = 'q8_0' | 'q4_0';

/** Number in the file, elements and bytes of a block (ggml.h, ggml-common.h). */
const types = {
  f16: { id: 1, elements: 1, bytes: 2 },
  q4_0: { id: 2, elements: 32, bytes: 18 },
  q8_0: { id: 8, elements: 32, bytes: 34 },
} as const;

const alignment = 32;
const chunkBytes = 4 * 1024 * 1024;
const stringType = 8;

/** Large matrices of whole blocks; the engine wants the rest (norms, biases, convolutions) as floating point. */
function typeOf({ shape, values }: SyntheticTensor, quant: QuantType): keyof typeof types {
  const [rows = 0, columns = 0, ...more] = shape;
  const matrix = more.length === 0 && columns % types[quant].elements === 0 && rows > 1;
  return matrix && 'fanIn' in values ? quant : 'f16';
}

function blocksOf(tensor: SyntheticTensor, quant: QuantType): number {
  return tensor.shape.reduce((product, size) => product * size, 1) / types[typeOf(tensor, quant)].elements;
}

/** Bytes of the weights in a file of {@link writeGguf}. */
export function ggufBytes(tensors: readonly SyntheticTensor[], quant: QuantType): number {
  return tensors.reduce((sum, tensor) => sum + blocksOf(tensor, quant) * types[typeOf(tensor, quant)].bytes, 0);
}

/**
 * Streams a GGUF file (version 3) whose matrices are blocks of the type, made as such: nothing is rounded from wider
 * numbers, so a text encoder of 5 billion weights takes its size on the disk and no more.
 */
export async function writeGguf(
  path: string,
  tensors: readonly SyntheticTensor[],
  quant: QuantType,
  seed: number,
): Promise<number> {
  const header = headerOf(tensors, quant);
  const file = await open(path, 'w');
  try {
    let position = await put(file, header, 0);
    const [halves, quants] = [new RandomHalves(seed), new RandomQuants(seed, quant)];
    const chunk = new Uint8Array(chunkBytes);
    let running = 0;
    for (const tensor of tensors) {
      const element = tensor.start ?? running;
      const type = typeOf(tensor, quant);
      const { bytes, elements } = types[type];
      const blocks = blocksOf(tensor, quant);
      const perChunk = Math.floor(chunkBytes / bytes);
      for (let first = 0; first < blocks; first += perChunk) {
        const out = chunk.subarray(0, Math.min(perChunk, blocks - first) * bytes);
        const power = 'fanIn' in tensor.values ? Math.round(Math.log2(0.5 / Math.sqrt(tensor.values.fanIn))) : 0;
        if (type !== 'f16') quants.fill(out, element / elements + first, power);
        else {
          const target = new Uint16Array(out.buffer, 0, out.length / 2);
          if ('constant' in tensor.values) target.fill(tensor.values.constant === 1 ? 0x3c00 : 0);
          else halves.fill(target, element + first, power);
        }
        position = await put(file, out, position);
      }
      // Whole blocks, so that a quantised tensor behind a small one starts at one too.
      running += Math.ceil((blocks * elements) / 32) * 32;
      position = await put(file, new Uint8Array(padding(position)), position);
    }
    return position;
  } finally {
    await file.close();
  }
}

function padding(bytes: number): number {
  return (alignment - (bytes % alignment)) % alignment;
}

async function put(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  return position + bytes.length;
}

/** https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
function headerOf(tensors: readonly SyntheticTensor[], quant: QuantType): Buffer {
  const parts: Buffer[] = [];
  const u32 = (value: number): void => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    parts.push(bytes);
  };
  const u64 = (value: number): void => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    parts.push(bytes);
  };
  const text = (value: string): void => {
    u64(Buffer.byteLength(value));
    parts.push(Buffer.from(value));
  };
  parts.push(Buffer.from('GGUF'));
  u32(3);
  u64(tensors.length);
  u64(1);
  text('general.architecture');
  u32(stringType);
  text('sd');
  let offset = 0;
  for (const tensor of tensors) {
    const type = types[typeOf(tensor, quant)];
    text(tensor.name);
    // Fastest axis first, four axes at most: converters join the channels of 3D convolutions, as the engine does.
    const [first = 1, second = 1, ...rest] = tensor.shape;
    const shape = tensor.shape.length > 4 ? [first * second, ...rest] : tensor.shape.length === 0 ? [1] : tensor.shape;
    u32(shape.length);
    for (const size of [...shape].reverse()) u64(size);
    u32(type.id);
    u64(offset);
    const bytes = blocksOf(tensor, quant) * type.bytes;
    offset += bytes + padding(bytes);
  }
  const header = Buffer.concat(parts);
  return Buffer.concat([header, Buffer.alloc(padding(header.length))]);
}
