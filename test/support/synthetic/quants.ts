import { numberToHalf } from '../../../lib/model/embedded/half.js';

/** Elements of a block are uniform, symmetric and of this deviation before scaling: -127..127 and -7..7. */
const layouts = {
  q8_0: { bytes: 34, limit: 127 },
  q4_0: { bytes: 18, limit: 7 },
} as const;

// A prime, so that a repeated block never lines up with the rows of a matrix.
const blockCount = 16_381;

/**
 * Quantised blocks of seeded values around zero with deviation `2 ** power` (block_q8_0 and block_q4_0 of ggml-common.h:
 * a scale in half precision, then 32 numbers). One run of blocks is made for each deviation and reused from different
 * places.
 */
export class RandomQuants {
  readonly #type: keyof typeof layouts;
  readonly #seed: number;
  readonly #runs = new Map<number, Uint8Array>();

  constructor(seed: number, type: keyof typeof layouts) {
    this.#type = type;
    this.#seed = seed;
  }

  /** Fills `target`, whole blocks, with the ones from block `start` on of the endless repetition of the run. */
  fill(target: Uint8Array, start: number, power: number): void {
    const run = this.#run(power);
    const size = layouts[this.#type].bytes;
    for (let done = 0; done < target.length; ) {
      const from = ((start + done / size) % blockCount) * size;
      const count = Math.min(run.length - from, target.length - done);
      target.set(run.subarray(from, from + count), done);
      done += count;
    }
  }

  #run(power: number): Uint8Array {
    const known = this.#runs.get(power);
    if (known !== undefined) return known;
    const { bytes, limit } = layouts[this.#type];
    const run = new Uint8Array(blockCount * bytes);
    const view = new DataView(run.buffer);
    let state = (Math.imul(this.#seed, 0x9e3779b1) ^ 0x2545f491) | 1;
    const uniform = (): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return ((state >>> 0) % (2 * limit + 1)) - limit;
    };
    // Of 2n + 1 equal steps around zero the variance is n (n + 1) / 3.
    const scale = numberToHalf(2 ** power / Math.sqrt((limit * (limit + 1)) / 3));
    for (let block = 0; block < run.length; block += bytes) {
      view.setUint16(block, scale, true);
      for (let i = block + 2; i < block + bytes; i += 1) {
        // Nibbles of q4_0 have an offset of 8.
        run[i] = this.#type === 'q8_0' ? uniform() : (uniform() + 8) | ((uniform() + 8) << 4);
      }
    }
    this.#runs.set(power, run);
    return run;
  }
}
