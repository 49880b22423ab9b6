import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

const prefix = 'nd-scratch-';

/** A directory for large files. */
export interface Scratch {
  /** Absolute path of a file in it. */
  path(name: string): string;
}

/**
 * A temporary directory for all tests of the calling file, removed afterwards, failed or not. One that a killed process
 * left behind is removed by the next caller.
 * @param bytes room that the files need; a disk with less fails at once and says so.
 */
export function useScratch(bytes: number): Scratch {
  let directory: string | undefined;
  beforeAll(async () => {
    await removeLeftovers();
    await requireRoom(bytes);
    directory = await mkdtemp(join(tmpdir(), `${prefix}${String(process.pid)}-`));
  });
  afterAll(async () => {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });
  return {
    path(name) {
      if (directory === undefined) throw new Error('The scratch directory was not made');
      return join(directory, name);
    },
  };
}

async function requireRoom(bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(tmpdir());
  // A tenth more: the disk has other users.
  if (bavail * bsize >= bytes * 1.1) return;
  const gib = (value: number): string => (value / 2 ** 30).toFixed(1);
  throw new Error(
    `${tmpdir()} has ${gib(bavail * bsize)} GiB free, these tests need ${gib(bytes * 1.1)}. Point TMPDIR to a larger disk.`,
  );
}

async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = new RegExp(`^${prefix}(\\d+)-`).exec(name) ?? [];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Somebody else's process is alive too.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
