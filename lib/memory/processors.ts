import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { ofGroups, read } from './groups.js';

/**
 * Threads for a model where this process may use less than the machine: fewer CPUs (`taskset`, `--cpuset-cpus`), or less
 * time of them (`--cpus`). The threads of a graph wait for each other, so one that has no CPU of its own holds up all.
 * 0: nothing is less, and the engine takes one per physical core.
 * @param root where `proc` and `sys` lie; for tests.
 * @param machine how many CPUs the machine has; for tests.
 */
export function threadLimit(root = '/', machine = cpus().length): number {
  const shares = ofGroups(root, 'cpu', (folder, version) => (version === 2 ? shareOf2(folder) : shareOf1(folder)));
  const allowed = allowedCpus(root);
  const usable = allowed?.length ?? availableParallelism();
  // A part of a CPU more is worth a thread: the kernel stops all of them together when the time is used up.
  const most = Math.min(usable, ...shares.map((share) => Math.max(1, Math.ceil(share))));
  return most >= machine ? 0 : Math.min(most, coresOf(allowed ?? numbers(`0-${String(machine - 1)}`), root));
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

/**
 * Undefined where the system does not tell. Node's `availableParallelism()` counts the shares of groups as well from Node 22.12 on,
 * rounded down, and some of its versions take a group without a limit for one of a single CPU.
 */
function allowedCpus(root: string): readonly number[] | undefined {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read(join(root, 'proc/self/status')) ?? '')?.[1];
  return list === undefined ? undefined : numbers(list);
}

/** Physical cores that some CPUs belong to; a CPU of which nothing is known counts as one. */
function coresOf(allowed: readonly number[], root: string): number {
  const siblings = (cpu: number): string =>
    read(join(root, `sys/devices/system/cpu/cpu${String(cpu)}/topology/thread_siblings_list`)) ?? String(cpu);
  return Math.max(1, new Set(allowed.map(siblings)).size);
}

/** Of a list such as `0-3,8`. */
function numbers(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  });
}
