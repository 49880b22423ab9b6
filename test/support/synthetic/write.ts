import { open, truncate, writeFile } from 'node:fs/promises';
import { layOut, type StreamedTensor, writeSafetensors } from '../../../lib/model/safetensors/index.js';
import { ggufBytes, type QuantType, writeGguf } from './gguf.js';
import { type SyntheticKind, syntheticTensors } from './kinds.js';
import { RandomHalves } from './random.js';
import type { SyntheticTensor } from './tensors.js';

export interface SyntheticOptions {
  /** Any integer. The same seed gives the same bytes. */
  readonly seed: number;
  /** `f16` is a safetensors file; the others are GGUF files whose matrices have the type. Default `f16`. */
  readonly type?: 'f16' | QuantType;
  /** Keeps only these tensors, e.g. to leave the VAE out. */
  readonly only?: (name: string) => boolean;
}

export interface SyntheticFile {
  readonly path: string;
  readonly bytes: number;
  readonly tensors: number;
}

/** Streams a checkpoint of random weights to `path` in bounded memory. Not flushed to disk: tests delete it again. */
export async function writeSynthetic(
  kind: SyntheticKind,
  path: string,
  options: SyntheticOptions,
): Promise<SyntheticFile> {
  const { only } = options;
  const tensors = syntheticTensors(kind).filter(({ name }) => only === undefined || only(name));
  const { type = 'f16' } = options;
  if (type !== 'f16')
    return { path, bytes: await writeGguf(path, tensors, type, options.seed), tensors: tensors.length };
  return writeTensors(path, tensors, options.seed, { 'synthetic.kind': kind, 'synthetic.seed': String(options.seed) });
}

/**
 * A checkpoint whose weights are a hole in the file: zeros that take no room on the disk.
 * @param change of its tensors, e.g. to leave some out.
 */
export async function writeHollow(
  kind: SyntheticKind,
  path: string,
  change: (tensors: readonly SyntheticTensor[]) => readonly SyntheticTensor[] = (tensors) => tensors,
): Promise<void> {
  const specs = change(syntheticTensors(kind)).map(({ name, shape }) => ({ name, dtype: 'F16' as const, shape }));
  const { header, totalBytes } = layOut(specs, { format: 'pt' });
  await writeFile(path, header);
  await truncate(path, totalBytes);
}

/** Bytes of the weights in a file of {@link writeSynthetic}. */
export function syntheticBytes(kind: SyntheticKind, type?: QuantType): number {
  const tensors = syntheticTensors(kind);
  return type === undefined
    ? 2 * tensors.reduce((sum, { shape }) => sum + elements(shape), 0)
    : ggufBytes(tensors, type);
}

/** As {@link writeSynthetic}, for any list of tensors. */
export async function writeTensors(
  path: string,
  tensors: readonly SyntheticTensor[],
  seed: number,
  metadata: Readonly<Record<string, string>> = {},
): Promise<SyntheticFile> {
  const random = new RandomHalves(seed);
  let offset = 0;
  const streamed = tensors.map((tensor): StreamedTensor => {
    const start = tensor.start ?? offset;
    offset += elements(tensor.shape);
    return {
      name: tensor.name,
      dtype: 'F16',
      shape: tensor.shape,
      rows: rowsOf(tensor.shape),
      fill: filler(tensor, start, random),
    };
  });
  const file = await open(path, 'w');
  try {
    const { bytes } = await writeSafetensors(file, streamed, { metadata: { format: 'pt', ...metadata }, hash: false });
    return { path, bytes, tensors: tensors.length };
  } finally {
    await file.close();
  }
}

/** Fills rows of the last dimension with the tensor's values. */
export function filler(
  { shape, values }: SyntheticTensor,
  start: number,
  random: RandomHalves,
): StreamedTensor['fill'] {
  const rowLength = elements(shape) / rowsOf(shape);
  return (out, first) => {
    const target = new Uint16Array(out.buffer, out.byteOffset, out.byteLength / 2);
    if ('constant' in values) target.fill(values.constant === 1 ? 0x3c00 : 0);
    else random.fill(target, start + first * rowLength, Math.round(Math.log2(0.5 / Math.sqrt(values.fanIn))));
  };
}

export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Rows of the last dimension, so that none is ever large. A vector is one row. */
export function rowsOf(shape: readonly number[]): number {
  return elements(shape.slice(0, -1));
}
