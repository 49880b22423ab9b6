import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { EngineCrashError, type Runtime } from '../../lib/index.js';
import { isRunning } from './isolation.js';

/** A kind of job: how often it is drawn, and what makes one and says what came of it. */
export interface ChaosJob {
  readonly name: string;
  /** Share of the draws, any positive number. */
  readonly weight: number;
  /** Runs one job; resolves with a hash of its result. */
  readonly run: () => Promise<string>;
  /** The hash that the engine in this process gives. */
  readonly expected: string;
}

export interface ChaosReport {
  readonly kills: number;
  readonly finished: number;
  readonly lost: number;
  readonly seconds: number;
}

/** Numbers of the range 0 to 1 that a seed decides (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Kills the engine's process at random moments while jobs come one after the other, some of them in pairs, until it was
 * killed so many times. Every job must settle once: with the right bytes, or with `ERR_ENGINE_CRASHED`.
 */
export async function chaos(
  runtime: Runtime,
  jobs: readonly ChaosJob[],
  options: { readonly kills: number; readonly seed: number },
): Promise<ChaosReport> {
  const random = randomOf(options.seed);
  const started = performance.now();
  const total = jobs.reduce((sum, { weight }) => sum + weight, 0);
  /** How long a job takes with a fresh process and a load, milliseconds: the moments are drawn from that. */
  const durations = new Map<ChaosJob, number>();
  let [kills, finished, lost] = [0, 0, 0];

  const draw = (): ChaosJob => {
    let rest = random() * total;
    const found = jobs.find(({ weight }) => (rest -= weight) < 0) ?? jobs[0];
    if (found === undefined) throw new Error('No jobs');
    return found;
  };
  const attempt = async (job: ChaosJob): Promise<void> => {
    const begun = performance.now();
    try {
      expect(await job.run(), `${job.name}, seed ${String(options.seed)}`).toBe(job.expected);
      finished++;
      durations.set(job, performance.now() - begun);
    } catch (error) {
      if (!(error instanceof EngineCrashError)) throw error;
      lost++;
    }
  };

  for (const job of jobs) await attempt(job);
  expect(lost, 'jobs were lost before anything was killed').toBe(0);
  const pids = new Set<number>();
  while (kills < options.kills) {
    const job = draw();
    const pair = random() < 0.3 ? [job, draw()] : [job];
    const work = Promise.all(pair.map(attempt));
    await sleep(random() * 1.2 * (durations.get(job) ?? 1000));
    const pid = runtime.childPid;
    if (pid !== undefined && !pids.has(pid)) {
      pids.add(pid);
      process.kill(pid, 'SIGKILL');
      kills++;
    }
    await work;
  }
  // The last one may have been killed after its work, and a job that comes before its end is known is lost with it.
  const isKnown = (): boolean => runtime.childPid === undefined || !pids.has(runtime.childPid);
  await expect.poll(isKnown, { timeout: 30_000, interval: 5 }).toBe(true);
  // Nothing is lost when nothing is killed, and nothing but the last process is left.
  const before = lost;
  for (const job of jobs) await attempt(job);
  expect(lost).toBe(before);
  expect([...pids].filter(isRunning)).toEqual([]);
  return { kills, finished, lost, seconds: (performance.now() - started) / 1000 };
}
