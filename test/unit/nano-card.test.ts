import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { embeddedModelInfo } from '../../lib/model/embedded/index.js';
import { embeddedName, narrowSha256 } from '../../lib/model/embedded/pins.js';
import { inspectModel } from '../../lib/model/inspect.js';
import { root } from '../support/child/run.js';

const folder = join(root, 'models', 'nano');
const card = readFileSync(join(folder, 'README.md'), 'utf8');

/** Text under a heading of the card, up to the next one. */
function section(heading: string): string {
  const found = card.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0];
  if (found === undefined) throw new Error(`the card has no heading "${heading}"`);
  return found;
}

/** Cells of the rows of a table, without head and rule. */
function rows(table: string): string[][] {
  const lines = table.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** Second cell of the row that begins so. */
const cell = (table: string, first: string): string => rows(table).find(([name]) => name === first)?.[1] ?? '';

const megabytes = (bytes: number): number => Math.round(bytes / 1e6);

describe('the card of the embedded model', () => {
  const [facts = ''] = card.split('\n## ');
  const path = join(folder, `${embeddedName}.safetensors`);

  it('is about the file that is pinned, and tells its size', () => {
    expect(card.split('\n')[0]).toBe(`# ${embeddedName}: the embedded model`);
    expect(cell(facts, 'File')).toBe(
      `\`${embeddedName}.safetensors\`, ${String(megabytes(statSync(path).size))} MB, fp16`,
    );
    expect(readdirSync(folder).filter((name) => name.endsWith('.safetensors'))).toEqual([
      `${embeddedName}.safetensors`,
    ]);
  });

  it('has its checksum', () => {
    const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
    expect(sha256).toBe(narrowSha256);
    expect(cell(facts, 'SHA-256')).toBe(`\`${sha256}\``);
  });

  it('tells of a file that keeps to the bound of issue 5: 30 MB', () => {
    expect(statSync(path).size).toBeLessThanOrEqual(30e6);
  });

  it('lists the concepts that the file lists, in the order they were trained in, and their number', async () => {
    const { concepts } = await embeddedModelInfo();
    const [, list = ''] = /:\n\n([^]+?)\.\n\n/.exec(section('What it can draw')) ?? [];
    expect(list.replaceAll(/\s+/g, ' ').split(', ')).toEqual(concepts);
    expect(
      readFileSync(join(folder, 'train', 'concepts.txt'), 'utf8')
        .trimEnd()
        .split('\n'),
    ).toEqual(concepts);
    expect(facts).toContain(`It draws ${String(concepts.length)} `);
    expect(new Set(concepts).size).toBe(concepts.length);
  });

  it('shows pictures and names files that are there', () => {
    const links = [...card.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)].map(([, target = '']) => target);
    const losses = [...card.matchAll(/`(train\/[^`\s]+\.\w+)`/g)].map(([, name = '']) => name);
    expect(links.length).toBeGreaterThan(0);
    expect(losses.length).toBeGreaterThan(0);
    expect([...links, ...losses].filter((name) => !existsSync(join(folder, name)))).toEqual([]);
  });
});

const kinds = { lora: /LoRA/, embedding: /textual inversion/, hypernetwork: /hypernetwork/ } as const;
const numbers = ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];

describe('the companions of the embedded model', () => {
  const table = rows(section('Companions')).map(([first = '', format = '']) => {
    const [, name = '', size] = /^`([^`]+)`(?: \(([\d.]+) MB\))?$/.exec(first) ?? [];
    return { name, path: join(folder, 'companions', name), size, format };
  });

  /** The one row whose format says so. */
  function companion(kind: keyof typeof kinds) {
    const [only, ...more] = table.filter(({ format }) => kinds[kind].test(format));
    if (only === undefined || more.length > 0) throw new Error(`the card has not exactly one ${kind}`);
    return only;
  }

  it('are those of the card, all and no other, of the sizes that it tells', () => {
    expect(table.map(({ name }) => name).sort()).toEqual(readdirSync(join(folder, 'companions')).sort());
    for (const { path, size } of table) {
      if (size !== undefined) expect((statSync(path).size / 1e6).toFixed(1), path).toBe(size);
    }
  });

  it.each(Object.keys(kinds) as (keyof typeof kinds)[])('have one that inspectModel calls %s', async (kind) => {
    expect((await inspectModel(companion(kind).path)).kind).toBe(kind);
  });

  it('have an embedding of whole vectors of SD1, as many as the card says', async () => {
    const { path, format } = companion('embedding');
    const { tensors } = await inspectModel(path);
    expect(tensors).toHaveLength(1);
    const [vectors = 0, width] = tensors[0]?.shape ?? [];
    const [, said = ''] = /(\w+) vectors?\b/.exec(format) ?? [];
    expect(width).toBe(768);
    expect([numbers[vectors], String(vectors)]).toContain(said);
  });

  it('have a hypernetwork for keys and values of width 768 alone, down and up again', async () => {
    const { path, format } = companion('hypernetwork');
    const { tensors } = await inspectModel(path);
    const shape = Object.fromEntries(tensors.map((tensor) => [tensor.name, tensor.shape]));
    const [inner] = shape['768.0.linear.0.weight'] ?? [];
    const net = (part: number) => ({
      [`768.${String(part)}.linear.0.weight`]: [inner, 768],
      [`768.${String(part)}.linear.0.bias`]: [inner],
      [`768.${String(part)}.linear.2.weight`]: [768, inner],
      [`768.${String(part)}.linear.2.bias`]: [768],
    });
    expect(shape).toEqual({ ...net(0), ...net(1) });
    expect(format).toContain('768');
  });

  it('have a LoRA of the rank that the card says, for attention and feed-forward of the UNet', async () => {
    const { path, format } = companion('lora');
    const { tensors } = await inspectModel(path);
    const downs = tensors.filter(({ name }) => name.endsWith('.lora_down.weight'));
    const [, rank] = /rank (\d+)/.exec(format) ?? [];
    expect(downs.length).toBeGreaterThan(0);
    expect(downs.filter(({ shape }) => String(shape[0]) !== rank)).toEqual([]);
    expect(tensors.filter(({ name }) => !/^lora_unet_.*_(?:attn[12]|ff)_/.test(name))).toEqual([]);
  });
});
