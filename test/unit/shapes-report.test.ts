import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ShapeRow, withTable } from '../support/shapesReport.js';

const root = join(import.meta.dirname, '../..');
const document = readFileSync(join(root, 'docs/models.md'), 'utf8');

describe('the table of shapes in docs/models.md', () => {
  it('is that of the newest report, row by row', () => {
    const results = join(root, 'bench/results');
    const newest = readdirSync(results)
      .filter((name) => name.startsWith('shapes-'))
      .sort()
      .at(-1);
    const { rows } = JSON.parse(readFileSync(join(results, newest ?? ''), 'utf8')) as { rows: readonly ShapeRow[] };
    expect(rows.length).toBeGreaterThan(0);
    expect(withTable(document, rows)).toBe(document);
    expect(withTable(document, rows.slice(1))).not.toBe(document);
  });

  it('needs its place in the page', () => {
    expect(() => withTable('# Models\n', [])).toThrowError('in the document');
  });
});
