import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { DiffusionError, invalidOption } from '../errors/index.js';
import { type BenchRecord, recordFormat, type SuiteResult } from './record.js';
import { columns, formatNumber } from './table.js';
import type { Row } from './statistics.js';

/**
 * Reads what `--json` wrote.
 * @throws DiffusionError `ERR_INVALID_OPTION` naming `field` for a file that is not there or is no result.
 */
export async function readRecord(path: string, field = '--against'): Promise<BenchRecord> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const message = `Cannot read "${path}": ${cause instanceof Error ? cause.message : String(cause)}.`;
    throw new DiffusionError('ERR_INVALID_OPTION', message, { field, given: path, cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (!isRecord(value)) throw invalidOption(field, path, 'a result of "node-diffusion bench --json FILE"');
  return value;
}

function isRecord(value: unknown): value is BenchRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { format, machine, suites } = value as Partial<Record<keyof BenchRecord, unknown>>;
  const hasId = typeof machine === 'object' && machine !== null && 'id' in machine;
  return format === recordFormat && hasId && Array.isArray(suites) && suites.every(isSuite);
}

function isSuite(value: unknown): value is SuiteResult {
  if (typeof value !== 'object' || value === null) return false;
  const { name, rows } = value as Partial<Record<keyof SuiteResult, unknown>>;
  return typeof name === 'string' && Array.isArray(rows) && rows.every(isRow);
}

function isRow(value: unknown): value is Row {
  if (typeof value !== 'object' || value === null) return false;
  const { name, unit, median, min, max } = value as Partial<Record<keyof Row, unknown>>;
  // What is not finite is null in JSON.
  const isNumber = (number: unknown): boolean => typeof number === 'number' || number === null;
  return typeof name === 'string' && typeof unit === 'string' && [median, min, max].every(isNumber);
}

/**
 * Refuses what does not compare: another machine; also other settings where both are there.
 * @throws DiffusionError `ERR_INVALID_OPTION`.
 */
export function assertSameMachine(before: Pick<BenchRecord, 'machine'>, now: Pick<BenchRecord, 'machine'>): void {
  if (before.machine.id === now.machine.id) return;
  const hint = 'Results compare on one machine only: run both there.';
  const message = `The result to compare with is of another machine, ${describe(before)}; this one is ${describe(now)}. ${hint}`;
  throw new DiffusionError('ERR_INVALID_OPTION', message, { field: '--against', given: before.machine.id, hint });
}

function describe({ machine: { id, cpu, processor, cores, memoryGiB } }: Pick<BenchRecord, 'machine'>): string {
  // Older results do not tell it.
  const which = (processor as string | undefined) ? ` ${processor}` : '';
  return `${id} (${cpu}${which}, ${String(cores)} cores, ${String(memoryGiB)} GiB)`;
}

/**
 * Two results side by side, as text: medians, what became of them, and whether that is more than the spread.
 * @throws DiffusionError `ERR_INVALID_OPTION` when they do not compare.
 */
export function compareRecords(before: BenchRecord, now: BenchRecord): string {
  assertSameMachine(before, now);
  const sections = now.suites.map((suite) => {
    const old = before.suites.find(({ name }) => name === suite.name);
    if (old === undefined) {
      const have = before.suites.map(({ name }) => name).join(', ');
      throw invalidOption('--against', have, `a result of ${suite.name}`);
    }
    assertSameSettings(old, suite);
    return comparison(old, suite);
  });
  return [`Before: ${origin(before)}`, `Now:    ${origin(now)}`, '', ...sections].join('\n');
}

function origin({ date, package: own, node, commits: { head, dirty, engineCommit } }: BenchRecord): string {
  const commit = head === null ? '' : `, commit ${head.slice(0, 10)}${dirty ? ' with changes' : ''}`;
  return `${date}, node-diffusion ${own}${commit}, engine ${engineCommit}, Node ${node}`;
}

function assertSameSettings({ name, settings: old = {} }: SuiteResult, { settings = {} }: SuiteResult): void {
  // As they are in a file: without what is undefined.
  const plain = JSON.parse(JSON.stringify(settings)) as Readonly<Record<string, unknown>>;
  const different = [...new Set([...Object.keys(old), ...Object.keys(plain)])].filter(
    (key) => !isDeepStrictEqual(old[key], plain[key]),
  );
  if (different.length === 0) return;
  const hint = 'Run it with the same settings.';
  const message = `The result of ${name} to compare with was made with other settings: ${different.join(', ')}. ${hint}`;
  throw new DiffusionError('ERR_INVALID_OPTION', message, { field: '--against', given: different.join(), hint });
}

function comparison(old: SuiteResult, now: SuiteResult): string {
  const lines = now.rows.flatMap((row) => {
    const before = old.rows.find(({ name, unit }) => name === row.name && unit === row.unit);
    if (before === undefined) return [];
    const change = (row.median / before.median - 1) * 100;
    const apart = row.min > before.max || row.max < before.min;
    const shown = `${change >= 0 ? '+' : ''}${change.toFixed(1)} %`;
    return [
      [
        row.name,
        formatNumber(before.median),
        formatNumber(row.median),
        shown,
        apart ? row.unit : `${row.unit}  within the spread`,
      ],
    ];
  });
  return `${now.name}\n${columns([['', 'before', 'now', 'change', ''], ...lines])}\n`;
}
