import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { threadLimit } from '../../lib/memory/processors.js';
import { fakeRuntime, tinyCheckpoint, tinyUpscaler } from '../support/fakeModel.js';

const mocked = vi.hoisted(() => ({ limit: 0 }));
vi.mock('../../lib/memory/index.js', async (original) => ({
  ...(await original<typeof import('../../lib/memory/index.js')>()),
  threadLimit: () => mocked.limit,
}));

const roots: string[] = [];
afterEach(() => {
  mocked.limit = 0;
  for (const root of roots.splice(0)) rmSync(root, { recursive: true });
});

/** On a machine of so many CPUs, two to a core, of which the process may run on some. */
function limit(files: Readonly<Record<string, string>>, allowed = '0-15', cpus = 16): number {
  const root = mkdtempSync(join(tmpdir(), 'node-diffusion-cpus-'));
  roots.push(root);
  const siblings = Array.from({ length: cpus }, (_, cpu) => [
    `sys/devices/system/cpu/cpu${String(cpu)}/topology/thread_siblings_list`,
    `${String(cpu % (cpus / 2))},${String((cpu % (cpus / 2)) + cpus / 2)}\n`,
  ]);
  const status = { 'proc/self/status': `Name:\tnode\nCpus_allowed:\tffff\nCpus_allowed_list:\t${allowed}\n` };
  for (const [path, text] of Object.entries({ ...Object.fromEntries(siblings), ...status, ...files } as typeof files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return threadLimit(root, cpus);
}

describe('threads that a process may use', () => {
  it('are not limited on a machine of its own', () => {
    expect(limit({})).toBe(0);
    expect(limit({ 'proc/self/cgroup': '0::/a\n', 'sys/fs/cgroup/a/cpu.max': 'max 100000\n' })).toBe(0);
    expect(limit({ 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/cpu.max': '1600000 100000\n' })).toBe(0);
  });

  it.each([
    ['0-3', 4],
    ['0', 1],
    ['2,4,11', 3],
    ['0-1,8-9', 2], // both threads of two cores
    ['0-11', 8],
  ])('are the cores of the CPUs that it may run on: %s', (allowed, threads) => {
    expect(limit({}, allowed)).toBe(threads);
  });

  it('are the CPUs where nothing is known of cores', () => {
    const topology = (cpu: number) => `sys/devices/system/cpu/cpu${String(cpu)}/topology/thread_siblings_list`;
    expect(limit({ [topology(0)]: '0\n', [topology(1)]: '1\n' }, '0-1', 4)).toBe(2);
  });

  it.each([
    ['200000 100000\n', 2],
    ['150000 100000\n', 2],
    ['20000 100000\n', 1],
    ['25000 50000\n', 1],
    ['1200000 100000\n', 8],
    ['nonsense\n', 0],
  ])('are the share of version 2, a part of one more, and never more than the cores: %j', (text, threads) => {
    expect(limit({ 'proc/self/cgroup': '0::/a/b\n', 'sys/fs/cgroup/a/b/cpu.max': text })).toBe(threads);
  });

  it('the tightest of nested groups decides; in a container the root stands for the group', () => {
    const group = { 'proc/self/cgroup': '0::/a/b\n' };
    const outer = { 'sys/fs/cgroup/a/cpu.max': '300000 100000\n', 'sys/fs/cgroup/a/b/cpu.max': '900000 100000\n' };
    expect(limit({ ...group, ...outer })).toBe(3);
    expect(limit({ ...group, 'sys/fs/cgroup/cpu.max': '200000 100000\n' })).toBe(2);
  });

  it.each(['cpu', 'cpu,cpuacct'])('are the share of version 1 in %s, whose -1 is none', (folder) => {
    const group = (quota: string) => ({
      'proc/self/cgroup': '4:cpu,cpuacct:/docker/x\n',
      [`sys/fs/cgroup/${folder}/cpu.cfs_quota_us`]: quota,
      [`sys/fs/cgroup/${folder}/cpu.cfs_period_us`]: '100000\n',
    });
    expect(limit(group('400000\n'))).toBe(4);
    expect(limit(group('-1\n'))).toBe(0);
  });
});

it('models and upscalers get that many, unless they or the runtime ask for another number', async () => {
  mocked.limit = 3;
  const threads = async (runtimeThreads?: number, modelThreads?: number): Promise<unknown[]> => {
    const { fake, runtime } = await fakeRuntime({ runtime: { threads: runtimeThreads } });
    await using _ = runtime;
    await runtime.loadModel({ checkpoint: tinyCheckpoint(), threads: modelThreads });
    await runtime.loadUpscaler({ file: tinyUpscaler(), threads: modelThreads });
    return [fake.of('loadModel')[0]?.params.threads, fake.of('loadUpscaler')[0]?.params.threads];
  };
  expect(await threads()).toEqual([3, 3]);
  expect(await threads(0, 0)).toEqual([3, 3]);
  expect(await threads(5)).toEqual([5, 5]);
  expect(await threads(undefined, 2)).toEqual([2, 2]);
});
