import { type ChildProcess, spawn } from 'node:child_process';
import { DiffusionError } from '../errors/index.js';
import { peakRss } from '../memory/index.js';

/** A line of standard output, with the time it arrived: milliseconds since just before the start. */
export interface TimedLine {
  readonly time: number;
  readonly line: string;
}

export interface ProgramRun {
  /** Milliseconds from just before the start to the end. */
  readonly time: number;
  readonly lines: readonly TimedLine[];
  /** Most resident bytes; 0 unless `watchMemory`, and where the system does not tell. */
  readonly peak: number;
}

export interface ProgramOptions {
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string | undefined;
  /** Looks at the peak of its memory every 10 ms (Linux). */
  readonly watchMemory?: boolean;
}

/** How long a program may take to end after it was asked to, in milliseconds. */
const grace = 2000;

/** Ends a program and waits for it: by asking first, then by force. */
export async function endProgram(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), grace);
  await ended;
  clearTimeout(force);
}

/** `ERR_INVALID_OPTION` for a program that cannot be started at all, else `ERR_ENGINE`. */
export function programError(file: string, what: string, log: string, cause?: unknown): DiffusionError {
  const missing = cause instanceof Error && 'code' in cause;
  const tail = log.trim().slice(-2000);
  const message = `${file} ${what}${tail === '' ? '.' : `:\n${tail}`}`;
  return new DiffusionError(missing ? 'ERR_INVALID_OPTION' : 'ERR_ENGINE', message, {
    ...(missing ? { given: file, hint: 'Give the path of a program that can be run.' } : {}),
    ...(cause === undefined ? {} : { cause }),
  });
}

/**
 * Runs a program to its end. Aborting ends it first and rejects then.
 * @throws DiffusionError `ERR_ENGINE` with the end of its log when it fails; or the signal's reason.
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramRun> {
  const { signal, cwd, watchMemory = false } = options;
  signal?.throwIfAborted();
  const start = performance.now();
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(cwd === undefined ? {} : { cwd }) });
  const lines: TimedLine[] = [];
  let [open, errors, peak] = ['', '', 0];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const time = performance.now() - start;
    const parts = (open + text).split(/[\r\n]+/);
    open = parts.pop() ?? '';
    for (const line of parts) lines.push({ time, line });
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const watch = watchMemory
    ? setInterval(() => {
        peak = Math.max(peak, peakRss(child.pid));
      }, 10)
    : undefined;
  const onAbort = (): void => void endProgram(child);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const [code, killed] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...how) => {
        resolve(how);
      });
    });
    const time = performance.now() - start;
    signal?.throwIfAborted();
    if (open !== '') lines.push({ time, line: open });
    if (code !== 0) {
      const log = errors.trim() === '' ? lines.map(({ line }) => line).join('\n') : errors;
      throw programError(file, `ended with ${String(killed ?? code)}`, log);
    }
    return { time, lines, peak };
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) throw programError(file, 'could not be started', '', error);
    throw error;
  } finally {
    clearInterval(watch);
    signal?.removeEventListener('abort', onAbort);
  }
}
