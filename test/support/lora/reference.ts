/**
 * The kinds of deltas as their authors define them, in doubles, written for reading and not for speed. Nothing here is
 * shared with `native/engine/lora`. Sources: kohya-ss/sd-scripts `networks/lora.py` and `networks/oft.py`,
 * KohakuBlueleaf/LyCORIS `lycoris/modules` and `lycoris/functional`, comfyanonymous/ComfyUI `comfy/weight_adapter`.
 */
import type { Part } from './files.js';

export type Parts = Readonly<Record<string, Part>>;

/** A weight: [out, in, ...kernel]. */
export interface Weight {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

const get = (parts: Parts, name: string): Part => {
  const part = parts[name];
  if (part === undefined) throw new Error(`The reference needs ${name}`);
  return part;
};
const at = (part: { readonly data: Float32Array | Float64Array }, index: number): number => part.data[index] ?? NaN;
const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/** First dimension by all others. */
function matrix({ shape, data }: Part): Matrix {
  const rows = shape[0] ?? 1;
  return { rows, columns: count(shape) / rows, data: Float64Array.from(data) };
}

function multiply(a: Matrix, b: Matrix): Matrix {
  const data = new Float64Array(a.rows * b.columns);
  for (let r = 0; r < a.rows; r++)
    for (let c = 0; c < b.columns; c++) {
      let sum = 0;
      for (let k = 0; k < a.columns; k++) sum += at(a, r * a.columns + k) * at(b, k * b.columns + c);
      data[r * b.columns + c] = sum;
    }
  return { rows: a.rows, columns: b.columns, data };
}

/** einsum('i j k l, j r, i p -> p r k l'), as [p, r * k * l]. */
function tucker(core: Part, right: Part, left: Part): Matrix {
  const [i = 0, j = 0, ...kernel] = core.shape;
  const [r, p, taps] = [right.shape[1] ?? 0, left.shape[1] ?? 0, count(kernel)];
  const data = new Float64Array(p * r * taps);
  for (let out = 0; out < p; out++)
    for (let input = 0; input < r; input++)
      for (let tap = 0; tap < taps; tap++) {
        let sum = 0;
        for (let a = 0; a < i; a++)
          for (let b = 0; b < j; b++)
            sum += at(core, (a * j + b) * taps + tap) * at(right, b * r + input) * at(left, a * p + out);
        data[(out * r + input) * taps + tap] = sum;
      }
  return { rows: p, columns: r * taps, data };
}

const transposePart = ({ shape: [a = 0, b = 0], data }: Part): Part => {
  const turned = new Float32Array(data.length);
  for (let i = 0; i < a; i++) for (let j = 0; j < b; j++) turned[j * a + i] = data[i * b + j] ?? NaN;
  return { shape: [b, a], data: turned };
};

const flat = ({ shape, data }: Part): Part => ({ shape: [shape[0] ?? 1, count(shape) / (shape[0] ?? 1)], data });

function scaled(weight: Weight, values: Float64Array, factor: number): Float64Array {
  if (values.length !== weight.data.length) throw new Error('The reference made another shape');
  return values.map((value) => value * factor);
}

/** Plain, full-rank change of the weight at multiplier 1, before any decomposition. */
function plain(weight: Weight, parts: Parts, kind: string, alpha: number | undefined): Float64Array {
  const ratio = (rank: number): number => (alpha === undefined ? 1 : alpha / rank);
  switch (kind) {
    case 'lora': {
      const [up, down] = [flat(get(parts, 'lora_up.weight')), get(parts, 'lora_down.weight')];
      const rank = down.shape[0] ?? 1;
      const mid = parts['lora_mid.weight'];
      // lora_mid is a convolution between the two: [rank, rank, k, k].
      const product =
        mid === undefined ? multiply(matrix(up), matrix(down)) : tucker(mid, flat(down), transposePart(up));
      return scaled(weight, product.data, ratio(rank));
    }
    case 'loha': {
      const half = (a: string, b: string, t: string): Matrix => {
        const core = parts[t];
        return core === undefined
          ? multiply(matrix(get(parts, a)), matrix(get(parts, b)))
          : tucker(core, get(parts, b), get(parts, a));
      };
      const one = half('hada_w1_a', 'hada_w1_b', 'hada_t1');
      const two = half('hada_w2_a', 'hada_w2_b', 'hada_t2');
      const rank = get(parts, 'hada_w1_b').shape[0] ?? 1;
      return scaled(
        weight,
        one.data.map((value, index) => value * at(two, index)),
        ratio(rank),
      );
    }
    case 'lokr': {
      const side = (name: string): Matrix => {
        const whole = parts[`lokr_${name}`];
        if (whole !== undefined) return matrix(whole);
        const [a, b, core] = [get(parts, `lokr_${name}_a`), get(parts, `lokr_${name}_b`), parts['lokr_t2']];
        return name === 'w2' && core !== undefined ? tucker(core, b, a) : multiply(matrix(a), matrix(b));
      };
      const [one, two] = [side('w1'), side('w2')];
      const rank = (parts.lokr_w2_b ?? parts.lokr_w1_b)?.shape[0];
      const [rows, columns] = [one.rows * two.rows, one.columns * two.columns];
      const data = new Float64Array(rows * columns);
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++) {
          const [i, j] = [Math.floor(r / two.rows), Math.floor(c / two.columns)];
          data[r * columns + c] =
            at(one, i * one.columns + j) * at(two, (r % two.rows) * two.columns + (c % two.columns));
        }
      return scaled(weight, data, rank === undefined ? 1 : ratio(rank));
    }
    case 'full':
      return Float64Array.from(get(parts, 'diff').data);
    case 'ia3': {
      const factors = get(parts, 'weight');
      const onInput = at(get(parts, 'on_input'), 0) !== 0;
      const [out = 1, input = 1] = weight.shape;
      const taps = weight.data.length / out / input;
      return weight.data.map((value, index) => {
        const column = Math.floor(index / taps) % input;
        return value * at(factors, onInput ? column : Math.floor(index / (input * taps)));
      });
    }
    case 'glora': {
      const [a1, a2, b1, b2] = ['a1', 'a2', 'b1', 'b2'].map((name) => matrix(get(parts, `${name}.weight`))) as [
        Matrix,
        Matrix,
        Matrix,
        Matrix,
      ];
      const [out = 1, input = 1] = weight.shape;
      const taps = weight.data.length / out / input;
      const data = new Float64Array(weight.data.length);
      for (let tap = 0; tap < taps; tap++) {
        const slice = new Float64Array(out * input);
        for (let i = 0; i < slice.length; i++) slice[i] = at(weight, i * taps + tap);
        const mixed = multiply(multiply({ rows: out, columns: input, data: slice }, a1), a2);
        for (let i = 0; i < slice.length; i++) data[i * taps + tap] = at(mixed, i);
      }
      const added = multiply(b1, b2);
      return scaled(
        weight,
        data.map((value, index) => value + at(added, index)),
        ratio(a2.rows),
      );
    }
    case 'glora, older order': {
      const [a1, a2, b1, b2] = ['a2', 'a1', 'b2', 'b1'].map((name) => get(parts, `${name}.weight`)) as [
        Part,
        Part,
        Part,
        Part,
      ];
      return plain(weight, { 'a1.weight': a1, 'a2.weight': a2, 'b1.weight': b1, 'b2.weight': b2 }, 'glora', alpha);
    }
    default:
      throw new Error(`The reference has no ${kind}`);
  }
}

/** (I + Q) (I - Q)^-1 of one block, Q = B - B^T. The inverse by Gauss-Jordan. */
function rotation(block: Float64Array, size: number): Float64Array {
  const plus = new Float64Array(size * size);
  const wide: Float64Array[] = Array.from({ length: size }, () => new Float64Array(2 * size));
  for (let r = 0; r < size; r++)
    for (let c = 0; c < size; c++) {
      const q = (block[r * size + c] ?? 0) - (block[c * size + r] ?? 0);
      plus[r * size + c] = (r === c ? 1 : 0) + q;
      (wide[r] as Float64Array)[c] = (r === c ? 1 : 0) - q;
      (wide[r] as Float64Array)[size + c] = r === c ? 1 : 0;
    }
  for (let step = 0; step < size; step++) {
    const best = wide
      .slice(step)
      .reduce(
        (found, row, index) => (Math.abs(row[step] ?? 0) > Math.abs(wide[found]?.[step] ?? 0) ? index + step : found),
        step,
      );
    [wide[step], wide[best]] = [wide[best] as Float64Array, wide[step] as Float64Array];
    const pivot = wide[step] as Float64Array;
    const by = pivot[step] ?? 1;
    for (let c = 0; c < 2 * size; c++) pivot[c] = (pivot[c] ?? 0) / by;
    for (const [r, row] of wide.entries()) {
      const times = row[step] ?? 0;
      if (r === step) continue;
      for (let c = 0; c < 2 * size; c++) row[c] = (row[c] ?? 0) - times * (pivot[c] ?? 0);
    }
  }
  const inverse = new Float64Array(size * size);
  for (const [r, row] of wide.entries()) inverse.set(row.subarray(size), r * size);
  const m = (data: Float64Array): Matrix => ({ rows: size, columns: size, data });
  return multiply(m(plus), m(inverse)).data;
}

/** Q = B - B^T of all blocks, held to the norm alpha x outputs: `constraint` of LyCORIS and of kohya. */
function bounded({ shape, data }: Part, most: number): Float64Array {
  const size = shape.at(-1) ?? 1;
  const skew = Float64Array.from(data, (value, index) => {
    const [block, r, c] = [Math.floor(index / size / size), Math.floor(index / size) % size, index % size];
    return value - (data[(block * size + c) * size + r] ?? NaN);
  });
  const norm = Math.sqrt(skew.reduce((sum, value) => sum + value * value, 0)) + 1e-8;
  // `rotation` makes Q of what it is given.
  return skew.map((value) => (value / 2) * (most > 0 && norm > most ? most / norm : 1));
}

function turned(weight: Weight, parts: Parts, multiplier: number): Float64Array {
  // `oft_diag` of LyCORIS 1.9 holds the rotations themselves, and A1111 takes them as such; alpha means nothing there.
  const own = parts.oft_diag;
  const given = own ?? get(parts, 'oft_blocks');
  const size = given.shape.at(-1) ?? 1;
  const alpha = parts.alpha === undefined ? 0 : at(parts.alpha, 0);
  const blocks = own === undefined ? bounded(given, alpha * (weight.shape[0] ?? 1)) : Float64Array.from(own.data);
  const stages = given.shape.length === 4 ? (given.shape[0] ?? 1) : 1;
  const isButterfly = given.shape.length === 4;
  const rows = weight.shape[0] ?? 1;
  const columns = weight.data.length / rows;
  let current: Float64Array = Float64Array.from(weight.data);
  for (let stage = 0; stage < stages; stage++) {
    const half = 2 ** stage * (size / 2);
    // (c g k) -> (c k g) with g = 2.
    const order = Array.from({ length: rows }, (_, index) => {
      if (!isButterfly) return index;
      const [group, inside] = [Math.floor(index / (2 * half)), index % (2 * half)];
      return group * 2 * half + (inside % 2) * half + Math.floor(inside / 2);
    });
    const next = new Float64Array(current.length);
    for (let block = 0; block < rows / size; block++) {
      const from = (stage * (rows / size) + block) * size * size;
      const values = blocks.subarray(from, from + size * size);
      const r = own === undefined ? rotation(values, size) : values;
      for (let i = 0; i < size; i++)
        for (let j = 0; j < size; j++) {
          // diag-oft: einsum('k n m, k n ... -> k m ...'), boft: einsum('b i j, b j ... -> b i ...').
          const value = isButterfly ? (r[i * size + j] ?? 0) : (r[j * size + i] ?? 0);
          const factor = multiplier * value + (i === j ? 1 - multiplier : 0);
          const [to, source] = [order[block * size + i] ?? 0, order[block * size + j] ?? 0];
          for (let c = 0; c < columns; c++)
            next[to * columns + c] = (next[to * columns + c] ?? 0) + factor * (current[source * columns + c] ?? 0);
        }
    }
    current = next;
  }
  // Where implementations differ, at other multipliers than 1, the scale goes from 1 to the given one with it.
  const scales = parts.rescale;
  const scale = (index: number): number =>
    scales === undefined ? 1 : 1 + multiplier * (at(scales, Math.floor(index / columns)) - 1);
  return current.map((value, index) => value * scale(index) - at(weight, index));
}

/** `W (dora / |W|)`: norms over each output, or each input where `dora_scale` is [1, in, …]. */
function decomposed(weight: Weight, whole: Float64Array, dora: Part): Float64Array {
  const [rows = 1, inputs = 1] = weight.shape;
  const taps = whole.length / rows / inputs;
  const byRow = dora.shape[0] === rows && count(dora.shape) === rows;
  const group = (index: number): number =>
    byRow ? Math.floor(index / (inputs * taps)) : Math.floor(index / taps) % inputs;
  const squares = new Float64Array(byRow ? rows : inputs);
  for (const [index, value] of whole.entries()) squares[group(index)] = (squares[group(index)] ?? 0) + value * value;
  return whole.map(
    (value, index) => (value * at(dora, group(index))) / (Math.sqrt(squares[group(index)] ?? 0) + 2 ** -23),
  );
}

/** The change of a weight by one module. */
export function referenceDelta(weight: Weight, parts: Parts, kind: string, multiplier: number): Float64Array {
  if (kind === 'oft' || kind === 'boft') return turned(weight, parts, multiplier);
  const alpha = parts.alpha === undefined ? undefined : at(parts.alpha, 0);
  const change = plain(weight, parts, kind, alpha);
  const dora = parts.dora_scale;
  if (dora === undefined) return change.map((value) => value * multiplier);
  const whole = decomposed(
    weight,
    change.map((value, index) => value + at(weight, index)),
    dora,
  );
  return whole.map((value, index) => multiplier * (value - at(weight, index)));
}
