import { foreignNames } from './foreign-names.js';

/** Longer names are not compared: nobody mistypes that much, and the cost grows with the square. */
const longestCompared = 64;

/**
 * Smallest number of insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`
 * (optimal string alignment, the restricted Damerau-Levenshtein distance).
 */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}

/** Case, spaces, underscores and hyphens do not count as mistakes. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[\s_-]/g, '');
}

/** The name nearest to `given`, when at most a third of it (at least one letter) is wrong; else undefined. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  if (given.length > longestCompared) return undefined;
  const target = plain(given);
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(target.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(target, plain(name));
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

/** The option a mistyped or foreign option name stands for, among `names`. */
export function suggestOption(given: string, names: readonly string[]): string | undefined {
  const exact = names.find((name) => plain(name) === plain(given));
  if (exact !== undefined) return exact;
  const foreign = (foreignNames.get(plain(given)) ?? []).find((name) => names.includes(name));
  return foreign ?? nearest(given, names);
}

/** `Did you mean "x"?`, or undefined when there is nothing to suggest. */
export function didYouMean(name: string | undefined): string | undefined {
  return name === undefined ? undefined : `Did you mean "${name}"?`;
}
