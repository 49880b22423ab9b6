/** One measured quantity: every value, the median and the ends. Medians of an even number are the mean of the middle two. */
export interface Row {
  /** What stands before the first `: ` groups rows in charts. */
  readonly name: string;
  /** `ms`, `MiB`, `x` for ratios, … */
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly values: readonly number[];
}

/** A promise: `actual` at most (`<=`) or at least (`>=`) `limit`. */
export interface Goal {
  readonly name: string;
  readonly actual: number;
  readonly relation: '<=' | '>=';
  readonly limit: number;
  readonly unit: string;
  readonly met: boolean;
}

/** Median; of an even number the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

export function row(name: string, unit: string, values: readonly number[]): Row {
  return { name, unit, median: median(values), min: Math.min(...values), max: Math.max(...values), values };
}

/**
 * Ratio of two series that were measured in pairs, one right after the other. The median of the ratios, not the ratio
 * of the medians: what disturbs a machine for a while disturbs both halves of a pair.
 */
export function ratioRow(name: string, ours: readonly number[], theirs: readonly number[]): Row {
  return row(
    name,
    'x',
    ours.map((value, index) => value / (theirs[index] ?? NaN)),
  );
}

export function goal(name: string, actual: number, relation: Goal['relation'], limit: number, unit: string): Goal {
  return { name, actual, relation, limit, unit, met: relation === '<=' ? actual <= limit : actual >= limit };
}

/**
 * Runs the sides one after the other, `repeat` times, the order turned round every time, so that neither always comes
 * first. Resolves with one array of results per side.
 */
export async function interleave<T>(
  repeat: number,
  sides: readonly (() => Promise<T>)[],
  onTurn: (turn: number) => void = () => undefined,
): Promise<T[][]> {
  const results = sides.map((): T[] => []);
  for (let turn = 0; turn < repeat; turn++) {
    const order = [...sides.entries()];
    if (turn % 2 === 1) order.reverse();
    for (const [index, side] of order) results[index]?.push(await side());
    onTurn(turn + 1);
  }
  return results;
}
