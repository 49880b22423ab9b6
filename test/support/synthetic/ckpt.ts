import { open } from 'node:fs/promises';
import * as zlib from 'node:zlib';
import { pickle, pickledStateDict, u16, u32 } from '../formatFixtures.js';
import { RandomHalves } from './random.js';
import type { SyntheticTensor } from './tensors.js';
import { elements, filler, rowsOf } from './write.js';

const chunkBytes = 4 * 1024 * 1024;

/**
 * Streams what `torch.save(state_dict)` writes since PyTorch 1.6: a ZIP of stored entries, a pickle and one storage for
 * each tensor, in half precision. The weights are those of the other writers. Below 4 GB: no ZIP64.
 */
export async function writeCkpt(path: string, tensors: readonly SyntheticTensor[], seed: number): Promise<void> {
  const random = new RandomHalves(seed);
  const state = pickledStateDict(
    tensors.map(({ name, shape }, index) => ({
      name,
      shape,
      storage: String(index),
      elements: elements(shape),
      type: 'HalfStorage',
    })),
  );
  const file = await open(path, 'w');
  const central: Buffer[] = [];
  let position = 0;
  const put = async (bytes: Uint8Array, at: number): Promise<void> => {
    for (let done = 0; done < bytes.length; )
      done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
  };
  const entry = async (name: string, size: number, pieces: Iterable<Uint8Array>): Promise<void> => {
    const start = position;
    const nameBytes = Buffer.from(name);
    const local = (crc: number): Buffer =>
      Buffer.concat([u32(0x04034b50), u16(20), common(crc, size, nameBytes.length), u16(0), nameBytes]);
    position += local(0).length;
    let crc = 0;
    for (const piece of pieces) {
      crc = zlib.crc32(piece, crc);
      await put(piece, position);
      position += piece.length;
    }
    // The sum is known only now.
    await put(local(crc), start);
    const place = [u16(0), u16(0), u16(0), u16(0), u32(0), u32(start)];
    central.push(
      Buffer.concat([u32(0x02014b50), u16(20), u16(20), common(crc, size, nameBytes.length), ...place, nameBytes]),
    );
  };
  try {
    const data = pickle(state);
    await entry('archive/data.pkl', data.length, [data]);
    for (const [index, tensor] of tensors.entries()) {
      await entry(`archive/data/${String(index)}`, 2 * elements(tensor.shape), piecesOf(tensor, random));
    }
    const directory = Buffer.concat(central);
    const counts = [u16(0), u16(0), u16(central.length), u16(central.length)];
    const end = Buffer.concat([u32(0x06054b50), ...counts, u32(directory.length), u32(position), u16(0)]);
    await put(Buffer.concat([directory, end]), position);
  } finally {
    await file.close();
  }
}

/** The fields that both headers of an entry share: flags, method, time, date, sum, sizes, length of the name. */
function common(crc: number, size: number, nameLength: number): Buffer {
  return Buffer.concat([u16(0), u16(0), u32(0), u32(crc), u32(size), u32(size), u16(nameLength)]);
}

function* piecesOf(tensor: SyntheticTensor, random: RandomHalves): Generator<Uint8Array> {
  const rows = rowsOf(tensor.shape);
  const rowBytes = (2 * elements(tensor.shape)) / rows;
  const fill = filler(tensor, tensor.start ?? 0, random);
  const perPiece = Math.max(1, Math.floor(chunkBytes / rowBytes));
  for (let first = 0; first < rows; first += perPiece) {
    const count = Math.min(perPiece, rows - first);
    const out = new Uint8Array(count * rowBytes);
    fill(out, first, count);
    yield out;
  }
}
