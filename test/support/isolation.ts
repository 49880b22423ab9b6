import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { EngineCrashError, type RawImage, type Runtime } from '../../lib/index.js';
import { failure, paint } from './native.js';

/** The process of an isolated runtime; a test that has none cannot go on. */
export function pidOf(runtime: Runtime): number {
  if (runtime.childPid === undefined) throw new Error('The runtime has no process');
  return runtime.childPid;
}

/** Sends a signal to the engine's process, as the system or a fault of the engine would. */
export function strike(runtime: Runtime, signal: NodeJS.Signals): number {
  const pid = pidOf(runtime);
  process.kill(pid, signal);
  return pid;
}

/** The error of a job whose engine died. */
export async function crash(job: Promise<unknown>): Promise<EngineCrashError> {
  const error = await failure(job);
  expect(error.code, String(error)).toBe('ERR_ENGINE_CRASHED');
  expect(error).toBeInstanceOf(EngineCrashError);
  return error as EngineCrashError;
}

/** A process that runs; one that has ended and waits to be collected does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  if (process.platform !== 'linux') return true;
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Fails when the process has not gone within the time. */
export async function expectGone(pid: number, milliseconds = 2000): Promise<void> {
  const end = Date.now() + milliseconds;
  while (isRunning(pid) && Date.now() < end) await sleep(20);
  expect(isRunning(pid), `process ${String(pid)} is left behind`).toBe(false);
}

/** Kills the engine's process; resolves when it is gone and the runtime knows. */
export async function killed(runtime: Runtime): Promise<void> {
  await expectGone(strike(runtime, 'SIGKILL'));
  while (runtime.childPid !== undefined) await sleep(5);
}

/** A picture whose enlargement by one block of ESRGAN takes about a second on one thread. */
export const large: RawImage = paint((x, y) => [(x * 7) % 256, (y * 5) % 256, (x * y) % 256], 160);
/** One that takes a few milliseconds. */
export const small: RawImage = paint((x, y) => [(x * 17) % 256, (y * 15) % 256, (x * y) % 256], 16);
