import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of its own in memory. */
export interface SmallDisk {
  readonly directory: string;
  /** Leaves no byte. */
  fill(): void;
  /** Gives back what {@link fill} took. */
  release(): void;
  makeReadOnly(): void;
  [Symbol.dispose](): void;
}

/** Whether this machine lets us mount a tmpfs: Linux, as root, as in CI. */
export const canMount = ((): boolean => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    smallDisk(1)[Symbol.dispose]();
    return true;
  } catch {
    return false;
  }
})();

/** @param mebibytes its size */
export function smallDisk(mebibytes: number): SmallDisk {
  const directory = mkdtempSync(join(tmpdir(), 'nd-disk-'));
  const ballast = join(directory, 'ballast');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${String(mebibytes)}m`, 'tmpfs', directory], { stdio: 'pipe' });
  } catch (error) {
    rmSync(directory, { recursive: true });
    throw error;
  }
  return {
    directory,
    fill() {
      const { bavail, bsize } = statfsSync(directory);
      writeFileSync(ballast, Buffer.alloc(bavail * bsize));
    },
    release() {
      truncateSync(ballast);
    },
    makeReadOnly() {
      execFileSync('mount', ['-o', 'remount,ro', directory], { stdio: 'pipe' });
    },
    [Symbol.dispose]() {
      execFileSync('umount', ['-l', directory], { stdio: 'pipe' });
      rmSync(directory, { recursive: true });
    },
  };
}

/** Whether this process can bound the size of the files that it writes: Linux with util-linux. */
export const canLimitFiles = process.platform === 'linux' && spawnSync('prlimit', ['--version']).status === 0;

/** Runs `work` while no file of this process can grow past `bytes`: writes fail with EFBIG. Needs no privilege. */
export async function withFileLimit<T>(bytes: number, work: () => Promise<T>): Promise<T> {
  const limit = (soft: string): void => {
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${soft}:`], { stdio: 'pipe' });
  };
  // Without a listener the signal ends the process.
  const ignore = (): void => undefined;
  process.on('SIGXFSZ' as NodeJS.Signals, ignore);
  limit(String(bytes));
  try {
    return await work();
  } finally {
    limit('unlimited');
    process.removeListener('SIGXFSZ' as NodeJS.Signals, ignore);
  }
}
