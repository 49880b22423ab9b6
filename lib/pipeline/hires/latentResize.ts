import { invalidOption } from '../../errors/index.js';
import type { NativeTensor } from '../../native/index.js';
import { cubic, filterTaps, makeTaps, type Taps, triangle } from './taps.js';

/** How cells between cells are made; the names are those of `torch.nn.functional.interpolate`. */
export type LatentFilter = 'bilinear' | 'bicubic' | 'nearest' | 'nearest-exact';

/** One of A1111's ways to enlarge latents. `antialias` goes with the first two filters. */
export interface LatentMode {
  readonly filter: LatentFilter;
  readonly antialias: boolean;
}

/**
 * Resizes a latent `[n, channels, h, w]` to `[n, channels, height, width]`; the numbers are those of PyTorch's
 * `interpolate(size=, mode=filter, antialias=)` on a CPU with `align_corners=False`, as A1111 enlarges latents.
 * @param height, width latent cells, integers from 1.
 * @throws DiffusionError `ERR_INVALID_OPTION` for a tensor of other than four axes and for sizes that are no size.
 */
export function resizeLatent(tensor: NativeTensor, height: number, width: number, mode: LatentMode): NativeTensor {
  const [n, channels, fromHeight, fromWidth] = tensor.shape;
  if (n === undefined || channels === undefined || fromHeight === undefined || fromWidth === undefined) {
    throw invalidOption('latent', `shape [${tensor.shape.join(', ')}]`, 'a latent [n, channels, height, width]');
  }
  for (const [field, value] of [
    ['height', height],
    ['width', width],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < 1) throw invalidOption(field, value, 'latent cells, an integer from 1');
  }
  if (fromHeight === height && fromWidth === width) return tensor;
  const planes = n * channels;
  const rows = resizeRows(tensor.data, planes * fromHeight, fromWidth, width, latentTaps(fromWidth, width, mode));
  const data = resizeColumns(rows, planes, fromHeight, height, width, latentTaps(fromHeight, height, mode));
  return { shape: [n, channels, height, width], data };
}

/**
 * Places are computed in 32 bits as in `UpSampleKernel.cpp` of PyTorch: in 64 bits a nearest cell can be another one,
 * and a place is off by up to 1e-5 of a cell.
 */
function latentTaps(from: number, to: number, { filter, antialias }: LatentMode): Taps {
  const { fround } = Math;
  const scale = fround(from / to);
  const last = from - 1;
  const inside = (source: number): number => Math.min(Math.max(source, 0), last);
  if (filter === 'nearest') {
    return makeTaps(to, 1, (i, add) => {
      add(inside(Math.floor(fround(scale * i))), 1);
    });
  }
  // Rounded once: PyTorch's kernels multiply and add in one instruction.
  const place = (i: number): number => fround(scale * (i + 0.5) - 0.5);
  if (filter === 'nearest-exact') {
    return makeTaps(to, 1, (i, add) => {
      add(inside(Math.floor(fround(Math.max(place(i), 0) + 0.5))), 1);
    });
  }
  if (filter === 'bilinear') {
    if (antialias) return filterTaps(from, to, triangle, fround);
    return makeTaps(to, 2, (i, add) => {
      const x = Math.max(place(i), 0);
      const left = inside(Math.floor(x));
      const share = fround(Math.min(x - left, 1));
      add(left, fround(1 - share));
      add(inside(left + 1), share);
    });
  }
  // PyTorch's bicubic has a = -0.75 without and, as Pillow, -0.5 with antialiasing.
  if (antialias) return filterTaps(from, to, cubic(-0.5), fround);
  const { weight } = cubic(-0.75);
  return makeTaps(to, 4, (i, add) => {
    const x = place(i);
    const left = Math.floor(x);
    const share = fround(x - left);
    for (let k = -1; k <= 2; k++) add(inside(left + k), weight(share - k));
  });
}

/** `[rows, from]` to `[rows, to]`. */
function resizeRows(data: Float32Array, rows: number, from: number, to: number, taps: Taps): Float32Array {
  const { count, sources, weights } = taps;
  const result = new Float32Array(rows * to);
  let out = 0;
  for (let start = 0; start < rows * from; start += from) {
    for (let tap = 0; tap < to * count; tap += count) {
      let sum = 0;
      for (let k = tap; k < tap + count; k++)
        sum += (weights[k] as number) * (data[start + (sources[k] as number)] as number);
      result[out++] = sum;
    }
  }
  return result;
}

/** `[planes, from, width]` to `[planes, to, width]`. */
function resizeColumns(
  data: Float32Array,
  planes: number,
  from: number,
  to: number,
  width: number,
  { count, sources, weights }: Taps,
): Float32Array {
  const result = new Float32Array(planes * to * width);
  for (let plane = 0; plane < planes; plane++) {
    for (let y = 0; y < to; y++) {
      const out = (plane * to + y) * width;
      for (let k = y * count; k < (y + 1) * count; k++) {
        const weight = weights[k] as number;
        const row = (plane * from + (sources[k] as number)) * width;
        if (weight === 0) continue;
        for (let x = 0; x < width; x++)
          result[out + x] = (result[out + x] as number) + weight * (data[row + x] as number);
      }
    }
  }
  return result;
}
