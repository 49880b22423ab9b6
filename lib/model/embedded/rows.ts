import type { NarrowTensor } from './narrow.js';

/** Fills rows of a lifted tensor; see `StreamedTensor.fill`. */
export type FillRows = (out: Uint8Array, first: number, count: number) => void;

function halves(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
}

/** Every element of a vector `ratio` times. */
export function repeatVector({ data }: NarrowTensor, ratio: number): FillRows {
  return (out, first, count) => {
    const target = halves(out);
    for (let i = 0; i < count; i += 1) target[i] = data[Math.floor((first + i) / ratio)] as number;
  };
}

/**
 * Convolution or linear weight `[out, in, …kernel]` -> `[out * outRatio, in * inRatio, …kernel]`: every output row
 * `outRatio` times, input i at i * inRatio, zeros for the other copies of that input.
 */
export function spreadRows({ shape, data }: NarrowTensor, outRatio: number, inRatio: number): FillRows {
  const inputs = shape[1] ?? 1;
  const kernel = data.length / ((shape[0] ?? 1) * inputs);
  const narrowRow = inputs * kernel;
  const rowLength = narrowRow * inRatio;
  return (out, first, count) => {
    const target = halves(out);
    let previous = -1;
    for (let i = 0; i < count; i += 1) {
      const source = Math.floor((first + i) / outRatio);
      const at = i * rowLength;
      if (source === previous) {
        target.copyWithin(at, at - rowLength, at);
        continue;
      }
      previous = source;
      target.fill(0, at, at + rowLength);
      for (let input = 0; input < inputs; input += 1) {
        const from = source * narrowRow + input * kernel;
        const to = at + input * inRatio * kernel;
        for (let k = 0; k < kernel; k += 1) target[to + k] = data[from + k] as number;
      }
    }
  };
}

/**
 * Embedding table `[n, width]` -> `[…, width * ratio]`, every column `ratio` times. `rowOf` names the narrow row of a
 * lifted row; undefined means zeros.
 */
export function repeatColumns(
  { shape, data }: NarrowTensor,
  ratio: number,
  rowOf: (row: number) => number | undefined = (row) => row,
): FillRows {
  const width = shape[1] ?? 1;
  return (out, first, count) => {
    const target = halves(out);
    target.fill(0);
    for (let i = 0; i < count; i += 1) {
      const source = rowOf(first + i);
      if (source === undefined) continue;
      for (let c = 0; c < width; c += 1) {
        const at = (i * width + c) * ratio;
        target.fill(data[source * width + c] as number, at, at + ratio);
      }
    }
  };
}

/** The narrow tensor in the corner of a larger one, zeros elsewhere; `shape[1]` is the larger one's input width. */
export function padRows(narrow: NarrowTensor, shape: readonly number[]): FillRows {
  const { data } = narrow;
  const rows = narrow.shape[0] ?? 1;
  const narrowRow = data.length / rows;
  const rowLength = shape.slice(1).reduce((product, size) => product * size, 1);
  return (out, first, count) => {
    const target = halves(out);
    target.fill(0);
    for (let i = 0; i < count && first + i < rows; i += 1) {
      const from = (first + i) * narrowRow;
      target.set(data.subarray(from, from + narrowRow), i * rowLength);
    }
  };
}

/** The same half-precision bits everywhere. */
export function constant(bits: number): FillRows {
  return (out) => halves(out).fill(bits);
}
