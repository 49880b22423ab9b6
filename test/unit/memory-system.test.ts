import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { availableMemory, formatBytes, memoryOfProcess } from '../../lib/memory/index.js';
import { byteSize } from '../../lib/options/index.js';

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

function machine(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'node-diffusion-memory-'));
  roots.push(root);
  for (const [path, text] of Object.entries({ 'proc/meminfo': 'MemFree: 1 kB\nMemAvailable:   8000 kB\n', ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const kb = 1024;
const group2 = (path: string, max: string, current: number, inactive: number) => ({
  [`sys/fs/cgroup${path}/memory.max`]: `${max}\n`,
  [`sys/fs/cgroup${path}/memory.current`]: `${String(current)}\n`,
  [`sys/fs/cgroup${path}/memory.stat`]: `anon 5\nactive_file 77\ninactive_file ${String(inactive)}\n`,
});

describe('memory of a process', () => {
  it('is the machine, or the tightest limit of its groups', () => {
    const meminfo = { 'proc/meminfo': 'MemTotal: 9000 kB\nMemAvailable: 100 kB\n' };
    expect(memoryOfProcess(machine(meminfo))).toBe(9000 * kb);
    const nested = {
      'proc/self/cgroup': '0::/a/b\n',
      ...group2('/a/b', String(3000 * kb), 2900 * kb, 0),
      ...group2('/a', String(2000 * kb), 10, 0),
    };
    expect(memoryOfProcess(machine({ ...meminfo, ...nested }))).toBe(2000 * kb);
    const huge = { 'proc/self/cgroup': '0::/a\n', ...group2('/a', String(2 ** 40), 5, 0) };
    expect(memoryOfProcess(machine({ ...meminfo, ...huge }))).toBe(9000 * kb);
    expect(memoryOfProcess(machine({ 'proc/meminfo': '' }))).toBeGreaterThan(2 ** 20);
  });
});

describe('available memory', () => {
  it('is what the kernel says without groups', () => {
    expect(availableMemory(machine({}))).toBe(8000 * kb);
    expect(availableMemory(machine({ 'proc/self/cgroup': '0::/a\n', ...group2('/a', 'max', 5, 0) }))).toBe(8000 * kb);
  });

  it('is what a group of version 2 leaves; its cached files count as free', () => {
    const own = group2('/a/b', String(1000 * kb), 700 * kb, 200 * kb);
    expect(availableMemory(machine({ 'proc/self/cgroup': '0::/a/b\n', ...own }))).toBe(500 * kb);
  });

  it('the tightest of nested groups decides, not the nearest', () => {
    const root = machine({
      'proc/self/cgroup': '0::/a/b\n',
      ...group2('/a/b', String(1000 * kb), 100 * kb, 0),
      ...group2('/a', String(900 * kb), 800 * kb, 0),
    });
    expect(availableMemory(root)).toBe(100 * kb);
  });

  it('inside a container the mounted root stands for the group', () => {
    const root = machine({ 'proc/self/cgroup': '0::/not/here\n', ...group2('', String(600 * kb), 500 * kb, 0) });
    expect(availableMemory(root)).toBe(100 * kb);
  });

  it('is what a group of version 1 leaves, none where its limit is the huge one', () => {
    const files = (limit: string) => ({
      'proc/self/cgroup': '4:cpu,memory:/x\n0::/\n',
      'sys/fs/cgroup/memory/x/memory.limit_in_bytes': limit,
      'sys/fs/cgroup/memory/x/memory.usage_in_bytes': String(600 * kb),
      'sys/fs/cgroup/memory/x/memory.stat': `inactive_file 1\ntotal_inactive_file ${String(100 * kb)}\n`,
    });
    expect(availableMemory(machine(files(String(1000 * kb))))).toBe(500 * kb);
    expect(availableMemory(machine(files('9223372036854771712')))).toBe(8000 * kb);
  });

  it('is never negative, and known where nothing is told', () => {
    const full = group2('/a', String(100 * kb), 300 * kb, 0);
    expect(availableMemory(machine({ 'proc/self/cgroup': '0::/a\n', ...full }))).toBe(0);
    expect(availableMemory('/no/such/root')).toBeGreaterThan(0);
    expect(availableMemory()).toBeGreaterThan(0);
  });
});

describe('amounts of memory', () => {
  it.each([
    [1, 1],
    ['2GiB', 2 ** 31],
    ['1.5 GB', 1.5e9],
    ['512mib', 2 ** 29],
    ['7 b', 7],
  ])('%o is %d bytes', (given, bytes) => {
    expect(byteSize().check(given, 'memoryLimit')).toBe(bytes);
  });

  it.each([0, -1, 1.5, NaN, Infinity, '2', 'GiB', '2 apples', '-1GiB', '0GiB', '9e9GiB', null, true])(
    '%o is none',
    (given) => {
      expect(() => byteSize().check(given, 'memoryLimit')).toThrow(/memoryLimit.*2GiB/);
    },
  );

  it('are shown short', () => {
    expect([formatBytes(2 ** 31), formatBytes(310 * 2 ** 20), formatBytes(2 ** 19)]).toEqual([
      '2.00 GiB',
      '310 MiB',
      '0.5 MiB',
    ]);
  });
});
