/** Numbers of a seeded generator (mulberry32), for tests that are random and can be repeated. */
export interface Random {
  /** 0 <= x < 1. */
  real(): number;
  /** 0 <= i < end. */
  below(end: number): number;
  pick<T>(items: readonly T[]): T;
}

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const real = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(real() * end);
  return {
    real,
    below,
    pick(items) {
      const item = items[below(items.length)];
      if (item === undefined) throw new RangeError('Nothing to pick from');
      return item;
    },
  };
}

/** The seed of this run: NODE_DIFFUSION_TEST_SEED, or one that is drawn. Printed, so that a failure can be repeated. */
export function testSeed(what: string): number {
  const given = process.env.NODE_DIFFUSION_TEST_SEED;
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  process.stdout.write(`${what}: seed ${String(seed)} (repeat with NODE_DIFFUSION_TEST_SEED=${String(seed)})\n`);
  return seed;
}
