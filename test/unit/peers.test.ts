import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../support/child/run.js';
import { lockProblems, requirements } from '../support/requirements.js';

const file = (name: string): string => join(root, 'bench', 'peers', name);

describe.each(['diffusers', 'openvino-python'])('the packages of the peer %s', (peer) => {
  const locked = requirements(file(`requirements-${peer}.txt`));

  it('are pinned one by one, with hashes, and no host is named', () => {
    expect(locked.length).toBeGreaterThan(10);
    expect(lockProblems(file(`requirements-${peer}.txt`))).toEqual([]);
  });

  it('have everything in them that is asked for, in that version', () => {
    const asked = requirements(file(`requirements-${peer}.in`));
    expect(asked.length).toBeGreaterThan(0);
    for (const pin of asked) expect(locked.some((line) => line.startsWith(`${pin} `))).toBe(true);
  });
});

it('are installed by their hashes only', () => {
  const bring = readFileSync(file('bring.mjs'), 'utf8');
  expect(bring).toMatch(/const install = \[.*'--require-hashes'.*\];/);
  expect(bring.match(/\.\.\.install, /g)).toHaveLength(2);
});
