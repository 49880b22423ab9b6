import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { commits, describeMachine } from '../../lib/bench/index.js';
import { diagnose } from '../../lib/index.js';

/** What one kind took. Seconds are of one run on whatever else the machine was doing. */
export interface ShapeRow {
  readonly kind: string;
  readonly architecture: string;
  /** In memory, after conversion. */
  readonly weightBytes: number;
  readonly fileBytes: number;
  readonly type: string;
  readonly threads: number;
  readonly loadSeconds: number;
  /** 64x64 in two steps, from text to pixels; null where no picture is made. */
  readonly pictureSeconds: number | null;
  /** Of the whole process, Node and the test runner included, from the load on; null where the system does not say. */
  readonly peakRssBytes: number | null;
  readonly comparedWithSdCli: boolean;
}

interface Report {
  readonly rows: readonly ShapeRow[];
  readonly [key: string]: unknown;
}

/** `npm run test:full` writes what it measured to the file of this variable, and the table to docs/models.md. */
const file = process.env['NODE_DIFFUSION_SHAPES_REPORT'];

/** Adds a row, in place of an older one of the kind, so that kinds can be run one by one. */
export async function reportShape(row: ShapeRow): Promise<void> {
  if (file === undefined || file === '') return;
  const before = await readFile(file, 'utf8').then(
    (text) => (JSON.parse(text) as Report).rows,
    () => [],
  );
  const rounded = {
    ...row,
    loadSeconds: round(row.loadSeconds),
    pictureSeconds: row.pictureSeconds === null ? null : round(row.pictureSeconds),
  };
  const rows = [...before.filter(({ kind }) => kind !== row.kind), rounded].sort((a, b) => (a.kind < b.kind ? -1 : 1));
  const { versions } = diagnose();
  const report: Report = {
    what: 'Synthetic checkpoints of every architecture: loaded, 64x64 pixels drawn in two steps (npm run test:full).',
    date: new Date().toISOString(),
    machine: describeMachine(),
    ...(versions === null ? {} : { commits: commits(versions) }),
    rows,
  };
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  const docs = join(import.meta.dirname, '../../docs/models.md');
  await writeFile(docs, withTable(await readFile(docs, 'utf8'), rows));
}

const [start, end] = ['<!-- shapes: written by npm run test:full -->', '<!-- /shapes -->'];

/** The document with the table of the rows between its markers. */
export function withTable(document: string, rows: readonly ShapeRow[]): string {
  const [before, rest] = document.split(start);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`No "${start}" … "${end}" in the document`);
  return `${before}${start}\n${table(rows)}\n${end}${after}`;
}

function table(rows: readonly ShapeRow[]): string {
  const gigabytes = (bytes: number | null): string => (bytes === null ? '' : (bytes / 1e9).toFixed(2));
  const lines = rows.map((row) => {
    const picture = row.pictureSeconds === null ? 'refused' : row.pictureSeconds.toFixed(1);
    return [
      `\`${row.kind}\``,
      `\`${row.architecture}\``,
      row.type,
      gigabytes(row.weightBytes),
      row.loadSeconds.toFixed(1),
      picture,
      gigabytes(row.peakRssBytes),
      row.comparedWithSdCli ? 'same bytes' : '',
    ];
  });
  const header = ['kind', 'architecture', 'type', 'weights, GB', 'load, s', 'picture, s', 'peak RSS, GB', 'sd-cli'];
  return [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function round(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}

/** Starts the peak anew (Linux, proc_pid_clear_refs(5)). */
export async function resetPeak(): Promise<void> {
  if (process.platform === 'linux') await writeFile('/proc/self/clear_refs', '5');
}

/** Largest resident set since {@link resetPeak}. */
export async function peakBytes(): Promise<number | null> {
  if (process.platform !== 'linux') return null;
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile('/proc/self/status', 'utf8')) ?? [];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}
