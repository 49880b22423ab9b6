const [multiplierA, multiplierB] = [0xd2511f53n, 0xcd9e8d57n];
const [weylA, weylB] = [0x9e3779b9n, 0xbb67ae85n];
const word = 0xffffffffn;

/** Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): four words of a counter and key. */
function philox(counter: readonly [bigint, bigint, bigint, bigint], seed: bigint): readonly [number, number] {
  let [a, b, c, d] = counter;
  let [k, l] = [seed & word, seed >> 32n];
  for (let round = 0; round < 10; round++) {
    const [p, q] = [a * multiplierA, c * multiplierB];
    [a, b, c, d] = [(q >> 32n) ^ b ^ k, q & word, (p >> 32n) ^ d ^ l, p & word];
    [k, l] = [(k + weylA) & word, (l + weylB) & word];
  }
  return [Number(a), Number(b)];
}

/**
 * The first normal numbers that PyTorch's CUDA generator draws for a seed: number i is the sine half of Box and Muller's
 * transform of the counter [0, 0, i, 0] (A1111, `modules/rng_philox.py`).
 */
export function philoxNormals(seed: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => {
    const [x, y] = philox([0n, 0n, BigInt(i), 0n], BigInt(seed));
    const uniform = (x + 0.5) / 2 ** 32;
    const angle = ((y + 0.5) / 2 ** 32) * 2 * Math.PI;
    return Math.sqrt(-2 * Math.log(uniform)) * Math.sin(angle);
  });
}
