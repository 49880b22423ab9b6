/** A ggml tensor type: `blockBytes` hold `blockSize` neighbouring elements of a row. */
export interface GgmlType {
  readonly name: string;
  readonly blockSize: number;
  readonly blockBytes: number;
}

function type(name: string, blockSize: number, blockBytes: number): GgmlType {
  return { name, blockSize, blockBytes };
}

/** Index is `enum ggml_type` of ggml.h; block and type sizes are those of `type_traits` in ggml.c. */
export const ggmlTypes: ReadonlyMap<number, GgmlType> = new Map([
  [0, type('F32', 1, 4)],
  [1, type('F16', 1, 2)],
  [2, type('q4_0', 32, 18)],
  [3, type('q4_1', 32, 20)],
  [6, type('q5_0', 32, 22)],
  [7, type('q5_1', 32, 24)],
  [8, type('q8_0', 32, 34)],
  [9, type('q8_1', 32, 36)],
  [10, type('q2_K', 256, 84)],
  [11, type('q3_K', 256, 110)],
  [12, type('q4_K', 256, 144)],
  [13, type('q5_K', 256, 176)],
  [14, type('q6_K', 256, 210)],
  [15, type('q8_K', 256, 292)],
  [16, type('iq2_xxs', 256, 66)],
  [17, type('iq2_xs', 256, 74)],
  [18, type('iq3_xxs', 256, 98)],
  [19, type('iq1_s', 256, 50)],
  [20, type('iq4_nl', 32, 18)],
  [21, type('iq3_s', 256, 110)],
  [22, type('iq2_s', 256, 82)],
  [23, type('iq4_xs', 256, 136)],
  [24, type('I8', 1, 1)],
  [25, type('I16', 1, 2)],
  [26, type('I32', 1, 4)],
  [27, type('I64', 1, 8)],
  [28, type('F64', 1, 8)],
  [29, type('iq1_m', 256, 56)],
  [30, type('BF16', 1, 2)],
  [34, type('tq1_0', 256, 54)],
  [35, type('tq2_0', 256, 66)],
  [39, type('mxfp4', 32, 17)],
  [40, type('nvfp4', 64, 36)],
]);

const byName = new Map([...ggmlTypes.values()].map((one) => [one.name.toLowerCase(), one]));

/** Bytes of a tensor of a type by its name; 4 an element for one that is not known. */
export function bytesOfType(name: string, shape: readonly number[]): number {
  const { blockSize, blockBytes } = byName.get(name.toLowerCase()) ?? { blockSize: 1, blockBytes: 4 };
  return (shape.reduce((product, axis) => product * axis, 1) / blockSize) * blockBytes;
}

/** Types ggml once had and no longer reads, with what to do instead. */
export const removedGgmlTypes: ReadonlyMap<number, string> = new Map([
  [4, 'q4_2'],
  [5, 'q4_3'],
  [31, 'q4_0_4_4'],
  [32, 'q4_0_4_8'],
  [33, 'q4_0_8_8'],
  [36, 'iq4_nl_4_4'],
  [37, 'iq4_nl_4_8'],
  [38, 'iq4_nl_8_8'],
]);
