import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withFileLock } from '../../lib/model/embedded/lock.js';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'nd-lock-'));
  path = join(directory, 'lock');
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const quick = { pollMs: 2 };

/** Id of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ['-e', '']).pid;
}

function holder(pid: number, host = hostname()): string {
  return JSON.stringify({ pid, host, token: 'theirs' });
}

describe('the file lock', () => {
  it('lets one in at a time and is gone afterwards', async () => {
    let inside = 0;
    let most = 0;
    const enter = (): Promise<void> =>
      withFileLock(path, quick, async () => {
        most = Math.max(most, (inside += 1));
        await new Promise((resolve) => setTimeout(resolve, 5));
        inside -= 1;
      });
    await Promise.all(Array.from({ length: 6 }, enter));
    expect(most).toBe(1);
    expect(await readdir(directory)).toEqual([]);
  });

  it('is released when the work fails', async () => {
    const failure = new Error('no');
    await expect(withFileLock(path, quick, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(await readdir(directory)).toEqual([]);
  });

  it('is taken over from a process that is gone', async () => {
    await writeFile(path, holder(deadPid()));
    await expect(withFileLock(path, quick, () => Promise.resolve('in'))).resolves.toBe('in');
    expect(await readdir(directory)).toEqual([]);
  });

  it.each([
    ['of a living process here', holder(process.pid)],
    ['of another machine, where the process id means nothing', holder(deadPid(), 'elsewhere')],
    ['that is not written yet', ''],
  ])('waits for a lock %s until it is stale', async (_what, text) => {
    await writeFile(path, text);
    let looks = 0;
    const old = new Date(Date.now() - 60_000);
    const onWait = (): void => {
      looks += 1;
      if (looks === 3) void utimes(path, old, old);
    };
    await withFileLock(path, { ...quick, onWait }, () => Promise.resolve());
    expect(looks).toBeGreaterThanOrEqual(3);
  });

  it('stays fresh while the work lasts', async () => {
    const staleMs = 200;
    let second = 0;
    const first = withFileLock(path, { ...quick, staleMs }, async () => {
      await new Promise((resolve) => setTimeout(resolve, 3 * staleMs));
      expect(second).toBe(0);
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await withFileLock(path, { ...quick, staleMs }, () => Promise.resolve((second += 1)));
    await first;
    expect(second).toBe(1);
  });

  it('does not remove a lock that somebody else has taken meanwhile', async () => {
    await withFileLock(path, quick, () => writeFile(path, holder(1, 'elsewhere')));
    expect(await readFile(path, 'utf8')).toBe(holder(1, 'elsewhere'));
  });

  it('gives up waiting with the reason of the signal', async () => {
    await writeFile(path, holder(process.pid));
    const reason = new Error('enough');
    const controller = new AbortController();
    const waiting = withFileLock(path, { pollMs: 10_000, signal: controller.signal }, () => Promise.resolve());
    setTimeout(() => {
      controller.abort(reason);
    }, 20);
    await expect(waiting).rejects.toBe(reason);
  });
});
