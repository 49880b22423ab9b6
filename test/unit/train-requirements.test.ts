import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { root } from '../support/child/run.js';
import { lockProblems, requirements } from '../support/requirements.js';

const file = (name: string): string => join(root, 'models', 'nano', 'train', name);
const asked = requirements(file('requirements.in'));

describe.each([
  ['requirements.txt', ''],
  ['requirements-cpu.txt', '+cpu'],
])('%s of the training', (name, local) => {
  const locked = requirements(file(name));

  it('has every package with its hashes, and names no host', () => {
    expect(locked.length).toBeGreaterThan(asked.length);
    expect(lockProblems(file(name))).toEqual([]);
  });

  it('has what is asked for, in that version', () => {
    expect(asked.length).toBeGreaterThan(0);
    for (const pin of asked) {
      const whole = pin.startsWith('torch==') ? pin + local : pin;
      expect(locked.filter((line) => line.startsWith(`${whole} `))).toHaveLength(1);
    }
  });
});

it('the lock without CUDA has the versions of the one with it', () => {
  const versions = (name: string): string[] => requirements(file(name)).map((line) => line.split(' ')[0] ?? '');
  const all = versions('requirements.txt');
  const torch = (pin: string): string => pin.replace(/^(torch==[\d.]+)\+cpu$/, '$1');
  expect(versions('requirements-cpu.txt').filter((pin) => !all.includes(torch(pin)))).toEqual([]);
  expect(versions('requirements-cpu.txt').filter((pin) => /^(?:nvidia|cuda|triton)/.test(pin))).toEqual([]);
});

it('the tests of the training install by hashes only', () => {
  const script = readFileSync(join(root, 'scripts', 'train-tests.mjs'), 'utf8');
  expect(script).toMatch(/const install = \[.*'--require-hashes'.*\];/);
  expect(script.match(/'install'/g)).toHaveLength(1);
});
