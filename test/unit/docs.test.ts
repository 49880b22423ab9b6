import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { errorCodes } from '../../lib/errors/index.js';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const pages = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'bench/peers/README.md',
  ...docs.map((name) => `docs/${name}`),
];

/** First cells of the table under a heading. */
function firstCells(text: string, heading: string): string[] {
  const [, section = ''] = text.split(`\n## ${heading}\n`);
  return [...section.split('\n## ')[0]!.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell = '']) => cell);
}

/** A heading as the anchor that Markdown viewers give it. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => anchor(heading));
}

describe('docs/errors.md', () => {
  const codes = firstCells(read('docs/errors.md'), 'Codes');

  it('has every code of the package once, and no other', () => {
    expect([...codes].sort()).toEqual([...errorCodes].sort());
  });

  it('says something in every column', () => {
    const rows = read('docs/errors.md')
      .split('\n')
      .filter((line) => line.startsWith('| `ERR_'));
    for (const row of rows) {
      const cells = row.split('|').slice(1, -1);
      expect(cells, row).toHaveLength(4);
      for (const cell of cells) expect(cell.trim().length, row).toBeGreaterThan(5);
    }
  });
});

describe.each(pages)('%s', (page) => {
  const text = read(page);
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);

  it('links to files and headings that are there', () => {
    const broken = links
      .filter((target) => !/^[a-z]+:/i.test(target))
      .filter((target) => {
        const [path = '', heading] = target.split('#');
        const file = path === '' ? join(root, page) : resolve(root, dirname(page), path);
        if (!existsSync(file)) return true;
        return heading !== undefined && !anchorsOf(readFileSync(file, 'utf8')).includes(heading);
      });
    expect(broken).toEqual([]);
  });

  it('names no path of a machine', () => {
    expect(text).not.toMatch(/(?:^|[\s`"'(])(?:\/home\/|\/root\/|\/work\/|\/Users\/|[A-Z]:\\Users)/m);
  });
});
