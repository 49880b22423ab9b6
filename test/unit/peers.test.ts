import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../support/child/run.js';

const read = (name: string): string => readFileSync(join(root, 'bench', 'peers', name), 'utf8');

/** Requirements of a file of pip, each with its continuation lines, those of included files among them. */
function requirements(name: string): string[] {
  const logical = read(name).replaceAll(/\\\n/g, ' ').split('\n');
  return logical.flatMap((line) => {
    const included = /^-r (\S+)$/.exec(line)?.[1];
    if (included !== undefined) return requirements(included);
    return line === '' || line.startsWith('#') ? [] : [line];
  });
}

describe.each(['diffusers', 'openvino-python'])('the packages of the peer %s', (peer) => {
  const locked = requirements(`requirements-${peer}.txt`);

  it('are pinned one by one, with hashes, and no host is named', () => {
    expect(locked.length).toBeGreaterThan(10);
    for (const line of locked) expect(line).toMatch(/^[a-z0-9][\w.-]*==[\w.!+-]+ .*--hash=sha256:[0-9a-f]{64}/);
    const names = locked.map((line) =>
      line
        .replace(/(?:--hash.*)?$/, '')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    );
    expect(new Set(names).size).toBe(names.length);
    expect(read(`requirements-${peer}.txt`)).not.toMatch(/:\/\/|--(?:extra-)?index-url|--find-links/);
  });

  it('have everything in them that is asked for, in that version', () => {
    const asked = requirements(`requirements-${peer}.in`);
    expect(asked.length).toBeGreaterThan(0);
    for (const pin of asked) expect(locked.some((line) => line.startsWith(`${pin} `))).toBe(true);
  });
});

it('are installed by their hashes only', () => {
  const bring = read('bring.mjs');
  expect(bring).toMatch(/const install = \[.*'--require-hashes'.*\];/);
  expect(bring.match(/\.\.\.install, /g)).toHaveLength(2);
});
