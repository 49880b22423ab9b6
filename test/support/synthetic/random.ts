import { numberToHalf } from '../../../lib/model/embedded/half.js';

// A prime, so that a repeated block never lines up with the rows of a matrix.
const blockLength = 262_139;

/**
 * Half-precision values around zero with deviation `2 ** power` (sum of four uniforms), from a seeded xorshift32
 * (Marsaglia, "Xorshift RNGs", 2003). One block is made for each deviation and reused from different places.
 */
export class RandomHalves {
  readonly #base: Float32Array;
  readonly #scaled = new Map<number, Uint16Array>();

  constructor(seed: number) {
    this.#base = new Float32Array(blockLength);
    // Spread, because xorshift needs a state that is not zero and small seeds have few bits set.
    let state = (Math.imul(seed, 0x9e3779b1) ^ 0x7f4a7c15) | 1;
    const uniform = (): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) / 2 ** 32 - 0.5;
    };
    // The variance of a uniform number is 1/12, of four of them 1/3.
    for (let i = 0; i < blockLength; i += 1) {
      this.#base[i] = (uniform() + uniform() + uniform() + uniform()) * Math.sqrt(3);
    }
  }

  /** Writes `target.length` values, the ones from `start` on of the endless repetition of the block. */
  fill(target: Uint16Array, start: number, power: number): void {
    const block = this.#block(power);
    for (let done = 0; done < target.length; ) {
      const from = (start + done) % blockLength;
      const count = Math.min(blockLength - from, target.length - done);
      target.set(block.subarray(from, from + count), done);
      done += count;
    }
  }

  #block(power: number): Uint16Array {
    const known = this.#scaled.get(power);
    if (known !== undefined) return known;
    const factor = 2 ** power;
    const block = Uint16Array.from(this.#base, (value) => numberToHalf(value * factor));
    this.#scaled.set(power, block);
    return block;
  }
}
