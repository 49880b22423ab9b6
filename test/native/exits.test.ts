import { describe, expect, it } from 'vitest';
import { type ChildEnd, crashText, describeEnd, runChild, said, sinceLine } from '../support/child/run.js';

// States and ways beside those of exit-matrix.test.ts. Crashes at the end of a process are races, so every process is run
// several times, a few of them at once.
const repeats = Number(process.env.NODE_DIFFUSION_TEST_REPEATS ?? 3);

/** How a process ends, and what its parent must see. */
const ways = {
  return: { code: 0 },
  exit0: { code: 0 },
  exit3: { code: 3 },
  throw: { code: 1, stderr: 'thrown on purpose' },
  reject: { code: 1, stderr: 'rejected on purpose' },
  SIGTERM: { signal: 'SIGTERM' },
  SIGINT: { signal: 'SIGINT' },
} as const satisfies Record<string, { code?: number; signal?: NodeJS.Signals; stderr?: string }>;
type Way = keyof typeof ways;

/** States in which nothing runs: the process must end by itself. */
const idleStates = ['bare', 'disposed', 'collected'] as const;
/** States with work under way: the process must wait for it when it returns, and only then. */
const busyStates = ['encoding', 'two'];
/** Variants of `sampling`: only the ways that run code of ours at the end. */
const busyVariants = ['queued', 'disposing', 'previewing', 'logging'];

/** One evaluation of the models of these tests takes well under a second; the rest is for a loaded machine. */
const endsWithin = 5000;

async function repeated(state: string, way: Way): Promise<ChildEnd[]> {
  const nodeOptions = state === 'collected' ? ['--expose-gc'] : [];
  // A signal is the kernel's work alone, and 0 differs from 3 in the number only: no race to look for.
  const times = way === 'SIGTERM' || way === 'SIGINT' || way === 'exit0' ? 1 : repeats;
  return Promise.all(Array.from({ length: times }, () => runChild('exits.mjs', [state, way], { nodeOptions })));
}

function expectEnd(end: ChildEnd, state: string, way: Way): void {
  const want: { code?: number; signal?: NodeJS.Signals; stderr?: string } = ways[way];
  const shown = describeEnd(end);
  expect(said(end, 'ready'), shown).toBe(state);
  expect(end.signal, shown).toBe(want.signal ?? null);
  expect(end.code, shown).toBe(want.code ?? null);
  expect(end.stderr, shown).not.toMatch(crashText);
  expect(end.noise, shown).toBe('');
  if (want.stderr === undefined) expect(end.stderr, shown).toBe('');
  else expect(end.stderr, shown).toContain(want.stderr);
}

describe.each(idleStates)('a process with a model that is %s', (state) => {
  it.each(Object.keys(ways) as Way[])('ends by %s', async (way) => {
    for (const end of await repeated(state, way)) {
      expectEnd(end, state, way);
      expect(sinceLine(end, 'ready')).toBeLessThan(endsWithin);
    }
  });
});

const busy = [
  ...busyStates.map((state) => ({ state, ended: Object.keys(ways).filter((way) => way !== 'return') as Way[] })),
  ...busyVariants.map((state) => ({ state, ended: ['exit3', 'throw'] as Way[] })),
];

describe.each(busy)('a process with a job under way: $state', ({ state, ended }) => {
  it.each(ended)('ends by %s', async (way) => {
    for (const end of await repeated(state, way)) {
      expectEnd(end, state, way);
      // The jobs would run for a minute: the end does not wait for them, only for the evaluation that runs.
      expect(sinceLine(end, 'ready')).toBeLessThan(endsWithin);
      expect(said(end, 'job')).not.toBe('done');
    }
  });

  it('waits for the job when it returns', async () => {
    for (const end of await repeated(state, 'return')) {
      expectEnd(end, state, 'return');
      const jobs = end.lines.filter((line) => 'job' in line);
      expect(jobs.length, describeEnd(end)).toBeGreaterThan(0);
      expect(
        jobs.every(({ job }) => job === 'done'),
        describeEnd(end),
      ).toBe(true);
    }
  });
});
