import fc from 'fast-check';

/** Anything that JavaScript has. */
export const wild: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom<unknown>(
      undefined,
      null,
      NaN,
      Infinity,
      -Infinity,
      -0,
      0,
      -1,
      1,
      0.5,
      63,
      64,
      65,
      1e9,
      2 ** 53,
      1e308,
      5e-324,
      '',
      ' ',
      '0',
      '64',
      '\u0000',
      '\ud800',
      '‮',
      true,
      false,
      1n,
      Symbol('s'),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      () => 1,
      class A {},
      new Date(NaN),
      /x/g,
      new Map(),
      new Set([1]),
      new WeakMap(),
      new ArrayBuffer(8),
      new DataView(new ArrayBuffer(8)),
      new Uint8Array(5),
      new Float32Array(3),
      new Float64Array([NaN, Infinity]),
      new BigInt64Array(2),
      new URL('file:///no/such/file'),
      new URL('https://example.invalid/'),
      new AbortController().signal,
      new Proxy({}, {}),
      Object.create(null),
      Promise.resolve(1),
      [[[]]],
      [NaN, undefined, null],
      Buffer.from('x'),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
      withSparseArray: true,
      withTypedArray: true,
      maxDepth: 3,
    }),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }) },
  { weight: 1, arbitrary: fc.double() },
);

/** A valid value pushed a little: neighbours of numbers, other lengths, other letters. */
export function near(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value === 'number')
    return fc.constantFrom<unknown>(
      value,
      value + 1,
      value - 1,
      -value,
      value * 64,
      value / 2,
      String(value),
      BigInt(Math.trunc(value)),
      [value],
      value + 1e-9,
    );
  if (typeof value === 'string')
    return fc.constantFrom<unknown>(
      value,
      value.toUpperCase(),
      `${value} `,
      value.slice(1),
      `${value}\u0000`,
      value.repeat(3),
      [value],
      Object(value),
    );
  if (typeof value === 'boolean') return fc.constantFrom<unknown>(!value, Number(value), String(value), null);
  if (Array.isArray(value))
    return fc.oneof(
      wild.map((item) => [...(value as unknown[]), item]),
      fc.constantFrom<unknown>(
        [],
        value.slice(1),
        [...(value as unknown[]), ...(value as unknown[])],
        Object.assign([], value),
      ),
    );
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    return options(value as Record<string, unknown>);
  return fc.constant(value);
}

/** Valid options with up to three fields near, wild, left out or unknown; now and then something else altogether. */
export function options(valid: Readonly<Record<string, unknown>>): fc.Arbitrary<unknown> {
  const keys = Object.keys(valid);
  const change = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.constantFrom(...keys).chain((key) => near(valid[key]).map((value) => ({ [key]: value }))),
    },
    { weight: 4, arbitrary: fc.tuple(fc.constantFrom(...keys), wild).map(([key, value]) => ({ [key]: value })) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.oneof(
            fc.string({ maxLength: 12 }),
            fc.constantFrom('__proto__', 'constructor', 'toString', 'Prompt', 'cfg_scale'),
          ),
          wild,
        )
        .map(([key, value]) => ({ [key]: value })),
    },
    { weight: 1, arbitrary: fc.constantFrom(...keys).map((key) => ({ [key]: undefined })) },
  );
  const changed = fc.array(change, { maxLength: 3 }).map((changes) => Object.assign({}, valid, ...changes) as unknown);
  return fc.oneof({ weight: 19, arbitrary: changed }, { weight: 1, arbitrary: wild });
}
