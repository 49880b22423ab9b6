import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { ofGroups, read } from './groups.js';

/**
 * Threads for a model where this process may use less than the machine: fewer CPUs (`taskset`, `--cpuset-cpus`), or less
 * time of them (`--cpus`). ggml's threads wait for each other actively, so each that has no CPU of its own stops all.
 * 0: nothing is less, and the engine takes one per physical core.
 * @param root where `proc` and `sys` lie; for tests.
 * @param machine how many CPUs there are, and how many of them the process may run on; for tests.
 */
export function threadLimit(root = '/', machine = { cpus: cpus().length, usable: availableParallelism() }): number {
  const shares = ofGroups(root, 'cpu', (folder, version) => (version === 2 ? shareOf2(folder) : shareOf1(folder)));
  // A part of a CPU more is worth a thread: the kernel stops all of them together when the time is used up.
  const most = Math.min(machine.usable, ...shares.map((share) => Math.max(1, Math.ceil(share))));
  return most >= machine.cpus ? 0 : Math.min(most, Math.max(1, Math.floor(machine.cpus / threadsPerCore(root))));
}

/** CPUs' time in CPUs: `quota period`, or `max period`. */
function shareOf2(folder: string): number | undefined {
  const [, quota, period] = /^(\d+) (\d+)\s*$/.exec(read(join(folder, 'cpu.max')) ?? '') ?? [];
  return quotient(quota, period);
}

/** A quota of -1 is none. */
function shareOf1(folder: string): number | undefined {
  return quotient(read(join(folder, 'cpu.cfs_quota_us')), read(join(folder, 'cpu.cfs_period_us')));
}

function quotient(quota: string | undefined, period: string | undefined): number | undefined {
  const [time, of] = [Number(quota), Number(period)];
  return time > 0 && of > 0 ? time / of : undefined;
}

/** `0`, `0,8` or `0-1`. */
function threadsPerCore(root: string): number {
  const list = read(join(root, 'sys/devices/system/cpu/cpu0/topology/thread_siblings_list'))?.trim() ?? '';
  let count = 0;
  for (const part of list === '' ? [] : list.split(',')) {
    const [first, last = first] = part.split('-').map(Number);
    count += (last ?? 0) - (first ?? 0) + 1;
  }
  return Math.max(1, count);
}
