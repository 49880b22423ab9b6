import type { SuiteResult } from './record.js';
import type { Goal } from './statistics.js';

/** A suite's result as a table for people. */
export function formatSuite({ name, title, compared, repeat, rows, goals, notes = [] }: SuiteResult): string {
  const cells = rows.map((row) => [
    row.name,
    formatNumber(row.median),
    formatNumber(row.min),
    formatNumber(row.max),
    row.unit,
  ]);
  const sections = [
    compared,
    columns([['', 'median', 'min', 'max', ''], ...cells]),
    notes.join('\n'),
    goals.map(formatGoal).join('\n'),
  ];
  const head = `\n${name}: ${title} (${String(repeat)} runs)`;
  return [head, sections.filter((section) => section !== '').join('\n\n')].join('\n');
}

/** Lines of cells; the first and the last column flush left, the others flush right. */
export function columns(lines: readonly (readonly string[])[]): string {
  const count = Math.max(...lines.map(({ length }) => length));
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  const aligned = (cell: string, column: number): string => {
    const width = widths[column] ?? 0;
    return column === 0 || column === count - 1 ? cell.padEnd(width) : cell.padStart(width);
  };
  return lines.map((line) => line.map(aligned).join('  ').trimEnd()).join('\n');
}

function formatGoal({ name, actual, relation, limit, unit, met }: Goal): string {
  return `${met ? 'met' : 'MISSED'}: ${name} ${formatNumber(actual)} ${unit}, goal ${relation} ${String(limit)} ${unit}`;
}

/** Goals of all suites that were not met, each with its suite and as a sentence. */
export function missedGoals(results: readonly SuiteResult[]): { readonly suite: string; readonly goal: string }[] {
  return results.flatMap(({ name, goals }) =>
    goals.filter(({ met }) => !met).map((goal) => ({ suite: name, goal: formatGoal(goal) })),
  );
}

/** Three significant digits or more: `0.412`, `37.5`, `1832`. */
export function formatNumber(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(3);
}
