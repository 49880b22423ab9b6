/** Median; of an even number the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** One measured quantity: every value, the median, and the ends. */
export function row(name, unit, values) {
  return { name, unit, median: median(values), min: Math.min(...values), max: Math.max(...values), values };
}

/**
 * Ratio of two series that were measured in pairs, one right after the other. The median of the ratios, not the ratio
 * of the medians: what disturbs a machine for a while disturbs both halves of a pair.
 */
export function ratioRow(name, ours, theirs) {
  return row(
    name,
    'x',
    ours.map((value, index) => value / theirs[index]),
  );
}

/** A promise: `actual` at most (`<=`) or at least (`>=`) `limit`. */
export function goal(name, actual, relation, limit, unit) {
  return { name, actual, relation, limit, unit, met: relation === '<=' ? actual <= limit : actual >= limit };
}

/**
 * Runs the sides one after the other, `repeat` times, the order turned round every time, so that neither always comes
 * first. Resolves with one array of results per side.
 */
export async function interleave(repeat, sides, onTurn = () => undefined) {
  const results = sides.map(() => []);
  for (let turn = 0; turn < repeat; turn++) {
    const order = sides.map((_, index) => index);
    if (turn % 2 === 1) order.reverse();
    for (const index of order) results[index].push(await sides[index]());
    onTurn(turn + 1);
  }
  return results;
}
