import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { cleaningAtExit } from './atExit.js';

export interface FileLockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after every look at a lock that somebody else holds. */
  readonly onWait?: (() => void) | undefined;
  /** A lock that was not refreshed for so long is taken over. Default 30,000 ms. */
  readonly staleMs?: number;
  /** Time between two looks. Default 200 ms. */
  readonly pollMs?: number;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
}

/**
 * Runs `work` while no other holder of the lock file `path` runs, in this process or another.
 *
 * The holder writes its process id and refreshes the file's time. A lock is stale when its process is gone (same host)
 * or when it was not refreshed in time (killed worker, other container); a waiter then takes it over. Clocks that
 * differ by more than `staleMs` can let two in at once, so the work itself must bear that; the lock only saves doing it
 * twice.
 *
 * @throws the signal's reason when aborted while waiting; what `work` throws; what the file system reports.
 */
export async function withFileLock<T>(path: string, options: FileLockOptions, work: () => Promise<T>): Promise<T> {
  const staleMs = options.staleMs ?? 30_000;
  const mine = JSON.stringify({ pid: process.pid, host: hostname(), token: randomUUID() } satisfies Holder);
  for (;;) {
    options.signal?.throwIfAborted();
    if (await create(path, mine)) break;
    if (await removeStale(path, staleMs)) continue;
    options.onWait?.();
    await pause(options.pollMs ?? 200, options.signal);
  }
  const refresh = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, staleMs / 10);
  refresh.unref();
  const release = (): void => {
    rmSync(path, { force: true });
  };
  try {
    return await cleaningAtExit(release, work);
  } finally {
    clearInterval(refresh);
    if ((await content(path)) === mine) await rm(path, { force: true });
  }
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx');
    try {
      await handle.writeFile(text);
    } catch (error) {
      // A lock without a holder, as a full disk leaves one, would keep everybody waiting until it is stale.
      await rm(path, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // EPERM and EBUSY: Windows, while the last holder's file is being deleted.
    if (code === 'EEXIST' || (process.platform === 'win32' && (code === 'EPERM' || code === 'EBUSY'))) return false;
    throw error;
  }
}

/** True when the lock is gone now, so that it is worth trying to take it at once. */
async function removeStale(path: string, staleMs: number): Promise<boolean> {
  const seen = await content(path);
  if (seen === undefined) return true;
  if (!(await isStale(path, seen, staleMs))) return false;
  // Moved aside first: another waiter may have replaced the lock since we looked, and then it is not ours to remove.
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
    if ((await content(aside)) !== seen) await link(aside, path);
    await rm(aside, { force: true });
  } catch {
    return false;
  }
  return true;
}

async function isStale(path: string, seen: string, staleMs: number): Promise<boolean> {
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  if (age > staleMs) return true;
  try {
    const { pid, host } = JSON.parse(seen) as Partial<Holder>;
    return host === hostname() && typeof pid === 'number' && !isAlive(pid);
  } catch {
    // Just created and not written yet, or damaged; its age decides.
    return false;
  }
}

/** Whether a process of this machine runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function content(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  signal?.throwIfAborted();
}
