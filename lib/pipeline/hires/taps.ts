/**
 * One axis of a resampling: output cell i is the sum of `count` weighted inputs, `sources[i * count + k]` with
 * `weights[i * count + k]`.
 */
export interface Taps {
  readonly count: number;
  /** Places of inputs, 0 to length - 1. */
  readonly sources: Int32Array;
  readonly weights: Float64Array;
}

/** A window of an antialiasing filter: zero outside -support..support. */
export interface Filter {
  readonly support: number;
  readonly weight: (x: number) => number;
}

/** Keys' cubic convolution (IEEE TASSP 29, 1981), with its free parameter `a`. */
export function cubic(a: number): Filter {
  return {
    support: 2,
    weight: (x) => {
      const t = Math.abs(x);
      if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
      return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
    },
  };
}

export const triangle: Filter = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };

export const lanczos3: Filter = {
  support: 3,
  weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0),
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Makes the tables; `at(i, add)` calls `add` at most `count` times for output cell i. */
export function makeTaps(
  to: number,
  count: number,
  at: (i: number, add: (source: number, weight: number) => void) => void,
): Taps {
  const sources = new Int32Array(to * count);
  const weights = new Float64Array(to * count);
  for (let i = 0; i < to; i++) {
    let next = i * count;
    at(i, (source, weight) => {
      sources[next] = source;
      weights[next++] = weight;
    });
  }
  return { count, sources, weights };
}

/**
 * Taps of an antialiasing filter: its window widens when the axis shrinks, and weights add up to 1 at the edges too.
 * Pillow's `precompute_coeffs` (`Resample.c`) and PyTorch's `interpolate(antialias=True)` do the same arithmetic, in
 * 64 and in 32 bits.
 * @param round `Math.fround` for 32 bits.
 */
export function filterTaps(
  from: number,
  to: number,
  { support, weight }: Filter,
  round: (x: number) => number = (x) => x,
): Taps {
  const scale = round(from / to);
  const widened = Math.max(scale, 1);
  const reach = round(support * widened);
  return makeTaps(to, 2 * Math.ceil(reach) + 1, (i, add) => {
    const center = round(scale * (i + 0.5));
    const first = Math.max(0, Math.trunc(round(center - reach + 0.5)));
    const end = Math.min(from, Math.trunc(round(center + reach + 0.5)));
    const values: number[] = [];
    for (let source = first; source < end; source++) values.push(round(weight(round(source - center + 0.5) / widened)));
    const sum = values.reduce((a, b) => a + b, 0);
    for (const [k, value] of values.entries()) add(first + k, round(value / sum));
  });
}
