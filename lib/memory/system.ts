import { freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import { ofGroups, read } from './groups.js';

/**
 * Bytes that this process can still get: `MemAvailable` of the kernel, or what the nearest limit of a control group
 * leaves, whichever is less. Every group from the process's own up to the root counts, version 2 and 1. Cached files
 * that a group has not used lately count as free, since the kernel gives them up first.
 * @param root where `proc` and `sys` lie; for tests.
 */
export function availableMemory(root = '/'): number {
  const known = [meminfo('MemAvailable', root), ...ofGroups(root, 'memory', room)].filter(
    (bytes) => bytes !== undefined,
  );
  return known.length === 0 ? freemem() : Math.max(0, Math.min(...known));
}

/**
 * Bytes that this process could ever hold: the machine's memory, or the tightest limit of its control groups.
 * @param root where `proc` and `sys` lie; for tests.
 */
export function memoryOfProcess(root = '/'): number {
  const limits = ofGroups(root, 'memory', (folder, version) => bound(read(join(folder, filesOf[version].limit))));
  return Math.min(meminfo('MemTotal', root) ?? totalmem(), ...limits);
}

function meminfo(field: string, root: string): number | undefined {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(read(join(root, 'proc/meminfo')) ?? '');
  return match === null ? undefined : Number(match[1]) * 1024;
}

interface GroupFiles {
  readonly limit: string;
  readonly usage: string;
  readonly inactive: RegExp;
}

const filesOf: Readonly<Record<1 | 2, GroupFiles>> = {
  2: { limit: 'memory.max', usage: 'memory.current', inactive: /^inactive_file (\d+)/m },
  1: { limit: 'memory.limit_in_bytes', usage: 'memory.usage_in_bytes', inactive: /^total_inactive_file (\d+)/m },
};

function room(folder: string, version: 1 | 2): number | undefined {
  const { limit, usage, inactive } = filesOf[version];
  const most = bound(read(join(folder, limit)));
  const used = number(read(join(folder, usage)));
  if (most === undefined || used === undefined) return undefined;
  const match = inactive.exec(read(join(folder, 'memory.stat')) ?? '');
  return most - Math.max(0, used - (match === null ? 0 : Number(match[1])));
}

/** Undefined: no such group, or no limit (`max`, or version 1's huge number). */
function bound(text: string | undefined): number | undefined {
  const most = number(text);
  return most === undefined || most >= 2 ** 60 ? undefined : most;
}

function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

/**
 * Resident bytes of another process; 0 where there is none, or where the system does not tell (only Linux has /proc).
 * @param root where `proc` lies; for tests.
 */
export function processRss(pid: number | undefined, root = '/'): number {
  return statusBytes(pid, 'VmRSS', root);
}

/** As {@link processRss}: the most that the process has had resident since its program began. */
export function peakRss(pid: number | undefined, root = '/'): number {
  return statusBytes(pid, 'VmHWM', root);
}

function statusBytes(pid: number | undefined, field: string, root: string): number {
  const text = pid === undefined ? undefined : read(join(root, `proc/${String(pid)}/status`));
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text ?? '');
  return match === null ? 0 : Number(match[1]) * 1024;
}
