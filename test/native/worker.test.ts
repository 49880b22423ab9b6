import { beforeAll, describe, expect, it } from 'vitest';
import { type ChildEnd, crashText, describeEnd, runChild, said } from '../support/child/run.js';

const repeats = Number(process.env.NODE_DIFFUSION_TEST_REPEATS ?? 3);

const idle = ['bare', 'idle', 'disposed'];
const busy = ['encoding', 'sampling'];

/** The ways a worker thread ends, and its exit code as the main thread sees it; `terminate` gives 1, or 0 if it was done. */
const ends = { natural: [0], exit: [5], throw: [1], terminate: [0, 1] } as const;
type End = keyof typeof ends;

function expectClean(end: ChildEnd, code: number): void {
  const shown = describeEnd(end);
  expect(end.signal, shown).toBeNull();
  expect(end.code, shown).toBe(code);
  expect(end.stderr, shown).not.toMatch(crashText);
  expect(end.stderr, shown).toBe('');
}

describe('a worker thread', () => {
  let fromMain: unknown;

  beforeAll(async () => {
    const end = await runChild('threads.mjs', ['bare', 'natural', 'picture']);
    expectClean(end, 0);
    fromMain = said(end, 'sha256');
    expect(fromMain).toMatch(/^[0-9a-f]{64}$/);
  });

  it('makes the same picture as the main thread, which goes on after it', async () => {
    const end = await runChild('threads.mjs', ['picture', 'natural', 'picture']);
    expectClean(end, 0);
    expect(
      end.lines.find(({ worker }) => (worker as { sha256?: string } | undefined)?.sha256 !== undefined)?.worker,
    ).toEqual({
      sha256: fromMain,
    });
    expect(said(end, 'workerExit')).toBe(0);
    expect(said(end, 'sha256')).toBe(fromMain);
  });

  it('works beside another one and the main thread, each with a model and events of its own', async () => {
    const end = await runChild('threads-together.mjs', [], { limit: 120 });
    expectClean(end, 0);
    const pictures = end.lines.filter((line) => 'sha256' in line);
    expect(pictures.map(({ from }) => from).sort()).toEqual(['main', 'worker 1', 'worker 2']);
    expect(new Set(pictures.map(({ sha256 }) => sha256)), describeEnd(end)).toEqual(new Set([fromMain]));
    // Each hears every step of its own job once, and nothing after its end, while the others still work.
    for (const { from, steps, late } of pictures)
      expect({ from, steps, late }).toEqual({ from, steps: [0, 1, 2], late: 0 });
  });

  it.each(['natural', 'terminate'])('gives its memory back when it ends (%s) with a model loaded', async (way) => {
    const end = await runChild('threads-memory.mjs', [way], { limit: 120 });
    expectClean(end, 0);
    const lines = end.lines.filter((line) => 'rss' in line) as unknown as { rss: number; modelBytes: number }[];
    expect(lines.length).toBe(3);
    // One model that was kept would stand out; what the allocators and V8 keep is far less.
    const growth = Math.max(...lines.map(({ rss }) => rss)) - (lines[0]?.rss ?? 0);
    expect(growth, describeEnd(end)).toBeLessThan((lines[0]?.modelBytes ?? 0) / 2);
    expect(lines[0]?.rss ?? Infinity, describeEnd(end)).toBeLessThan(lines[0]?.modelBytes ?? 0);
  });

  const cases = (Object.keys(ends) as End[]).flatMap((way) =>
    // A worker that returns waits for its jobs, so the busy states are not asked for.
    [...idle, ...(way === 'natural' ? [] : busy)].map((state) => ({ way, state })),
  );

  it.each(cases)('ends by $way while $state, and the main thread goes on', async ({ way, state }) => {
    const times = busy.includes(state) ? repeats : 1;
    const run = () =>
      runChild('threads.mjs', [state, way, way === 'terminate' && state === 'sampling' ? 'picture' : '']);
    for (const end of await Promise.all(Array.from({ length: times }, run))) {
      expectClean(end, 0);
      expect(said(end, 'ready'), describeEnd(end)).toBe(state);
      expect(ends[way] as readonly number[], describeEnd(end)).toContain(said(end, 'workerExit'));
      expect(said(end, 'workerError')).toBe(way === 'throw' ? 'thrown in the worker on purpose' : undefined);
      if (way === 'terminate' && state === 'sampling') expect(said(end, 'sha256')).toBe(fromMain);
    }
  });

  it.each([...idle, ...busy])('does not disturb process.exit of the main thread while %s', async (state) => {
    const times = busy.includes(state) ? repeats : 1;
    const run = () => runChild('threads.mjs', [state, 'process.exit']);
    for (const end of await Promise.all(Array.from({ length: times }, run))) {
      expectClean(end, 3);
      expect(said(end, 'ready'), describeEnd(end)).toBe(state);
    }
  });
});
