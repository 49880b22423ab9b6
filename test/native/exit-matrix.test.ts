import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/index.js';
import { best } from '../support/best.js';
import { type ChildEnd, crashText, describeEnd, runChild, said } from '../support/child/run.js';

// Crashes at the end of a process are races, so every cell runs several times, two at once.
const repeats = Number(process.env.NODE_DIFFUSION_TEST_REPEATS ?? 2);

/** What the parent of the process must see. */
interface Outcome {
  readonly code?: number;
  readonly signal?: NodeJS.Signals;
  readonly stderr?: string;
  /** Exit code of the worker thread, where the main thread outlives it. */
  readonly worker?: number;
}

const states = ['idle', 'loading', 'sampling', 'decoding'] as const;

const main: Readonly<Record<string, Outcome>> = {
  return: { code: 0 },
  exit: { code: 3 },
  reallyExit: { code: 4 },
  throw: { code: 1, stderr: 'thrown on purpose' },
  SIGTERM: { signal: 'SIGTERM' },
};

const worker: Readonly<Record<string, Outcome>> = {
  return: { code: 0, worker: 0 },
  exit: { code: 0, worker: 3 },
  reallyExit: { code: 0, worker: 4 },
  throw: { code: 1, stderr: 'thrown on purpose' },
  terminate: { code: 0, worker: 1 },
  'main exit': { code: 3 },
  'main reallyExit': { code: 4 },
  'main throw': { code: 1, stderr: 'thrown on purpose' },
  'main SIGTERM': { signal: 'SIGTERM' },
};

const cells = Object.entries({ main, worker }).flatMap(([thread, ways]) =>
  states.flatMap((state) => Object.entries(ways).map(([way, outcome]) => ({ thread, state, way, outcome }))),
);
type Cell = (typeof cells)[number];

/** From the last thing that the process had to wait for to its end; another program may hold the processor meanwhile. */
const endsWithin = 2000;
const attempts = 4;

let files: string;

beforeAll(async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  files = JSON.stringify({ checkpoint, taesd });
});

/** Where nothing works there is no race to look for, and a signal is the kernel's work alone. */
function timesOf({ state, way }: Cell): number {
  return state === 'idle' || way.endsWith('SIGTERM') ? 1 : repeats;
}

/** One run in empty directories of its own: where it works, where it caches, where temporary files go. */
async function run({ thread, state, way }: Cell): Promise<{ end: ChildEnd; left: string[] }> {
  const scratch = await mkdtemp(join(tmpdir(), 'nd-matrix-'));
  const [cwd = '', cache = '', tmp = ''] = ['cwd', 'cache', 'tmp'].map((name) => join(scratch, name));
  try {
    await Promise.all([cwd, cache, tmp].map((path) => mkdir(path)));
    const env = { NODE_DIFFUSION_CACHE: cache, TMPDIR: tmp };
    const end = await runChild('matrix.mjs', [thread, state, way, files], { cwd, env });
    const left = await Promise.all([cwd, cache, tmp].map((path) => readdir(path, { recursive: true })));
    return { end, left: left.flat() };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function check({ state, way, outcome }: Cell, end: ChildEnd, left: readonly string[]): void {
  const shown = describeEnd(end);
  expect(said(end, 'ready'), shown).toBe(state);
  expect({ code: end.code, signal: end.signal }, shown).toEqual({
    code: outcome.code ?? null,
    signal: outcome.signal ?? null,
  });
  expect(said(end, 'workerExit'), shown).toBe(outcome.worker);
  expect(end.stderr, shown).not.toMatch(crashText);
  if (outcome.stderr === undefined) expect(end.stderr, shown).toBe('');
  else expect(end.stderr, shown).toContain(outcome.stderr);
  expect(end.noise, shown).toBe('');
  expect(left, shown).toEqual([]);
  // A job keeps a thread that returns; no other way waits for it.
  const waits = way === 'return' && state !== 'idle';
  expect(said(end, 'job') === 'done', shown).toBe(waits);
}

/** Milliseconds from the moment when nothing has to be waited for any more. */
function lasted(end: ChildEnd): number {
  const times = end.lines.filter((line) => 'ready' in line || line.job === 'done').map(({ at }) => Number(at));
  return end.endedAt - Math.max(...times);
}

describe.each(states)('while %s', (state) => {
  it.each(cells.filter((cell) => cell.state === state))('$thread thread: $way', async (cell) => {
    const round = async (): Promise<number> => {
      const runs = await Promise.all(Array.from({ length: timesOf(cell) }, () => run(cell)));
      for (const { end, left } of runs) check(cell, end, left);
      return Math.max(...runs.map(({ end }) => lasted(end)));
    };
    expect(await best(endsWithin, round, attempts)).toBeLessThan(endsWithin);
  });
});
