import { beforeAll, describe, expect, it } from 'vitest';
import { type ChildEnd, crashText, describeEnd, runChild, said } from '../support/child/run.js';
import { expectGone } from '../support/isolation.js';
import { useScratch } from '../support/scratch.js';
import { writeUpscaler } from '../support/upscaler.js';

const scratch = useScratch(50e6);
const file = (): string => scratch.path('up.safetensors');

beforeAll(async () => {
  await writeUpscaler(file(), { scale: 2, weights: { seed: 3 } });
});

const ways = {
  return: { code: 0, signal: null },
  exit3: { code: 3, signal: null },
  throw: { code: 1, signal: null },
  SIGTERM: { code: null, signal: 'SIGTERM' },
  SIGKILL: { code: null, signal: 'SIGKILL' },
} as const;
type Way = keyof typeof ways;

async function expectClean(end: ChildEnd, way: Way): Promise<void> {
  const shown = describeEnd(end);
  expect({ code: end.code, signal: end.signal }, shown).toEqual(ways[way]);
  expect(end.noise, shown).toBe('');
  if (way === 'throw') expect(end.stderr).toContain('thrown on purpose');
  else expect(end.stderr, shown).toBe('');
  expect(end.stderr, shown).not.toMatch(crashText);
  const engine = said(end, 'engine');
  if (typeof engine !== 'number') throw new Error(`No engine was told:\n${shown}`);
  await expectGone(engine);
}

describe.each(['idle', 'busy'])('a process whose isolated engine is %s leaves none behind', (state) => {
  it.each(Object.keys(ways) as Way[])('when it ends by %s', async (way) => {
    const end = await runChild('isolated.mjs', [state, way, file()]);
    await expectClean(end, way);
    if (way === 'return' && state === 'busy') expect(said(end, 'job'), describeEnd(end)).toBe('done');
  });
});

// A stopped process notices nothing by itself: its parent ends it where it can, Linux where it cannot.
describe.runIf(process.platform === 'linux')('a process whose isolated engine stands still leaves none behind', () => {
  it.each(['exit3', 'throw', 'SIGTERM', 'SIGKILL'] as const)('when it ends by %s', async (way) => {
    await expectClean(await runChild('isolated.mjs', ['stopped', way, file()]), way);
  });
});

describe('the isolated engine', () => {
  it('serves the CommonJS door', async () => {
    const end = await runChild('isolated.mjs', ['busy', 'return', file(), 'cjs']);
    await expectClean(end, 'return');
    expect(said(end, 'job')).toBe('done');
  });

  it('takes no options of this process for its own', async () => {
    // By the command line and by the environment; a second debugger would print its address to our standard error.
    const options = { env: { NODE_OPTIONS: '--inspect=0' }, nodeOptions: ['--inspect=0'] };
    const end = await runChild('isolated.mjs', ['busy', 'return', file()], options);
    expect(said(end, 'job'), describeEnd(end)).toBe('done');
    expect(end.stderr.match(/Debugger listening/g)).toHaveLength(1);
  });

  it('is waited for by dispose, though nothing else keeps the process alive', async () => {
    const end = await runChild('isolated-dispose.mjs', []);
    expect(end.code, describeEnd(end)).toBe(0);
    expect(said(end, 'disposed')).toBe(true);
    await expectGone(said(end, 'engine') as number);
  });

  it('ends with the worker thread that started it', async () => {
    const end = await runChild('isolated.mjs', ['busy', 'terminate', file(), 'worker']);
    expect(said(end, 'worker'), describeEnd(end)).toBe(1);
    await expectGone(said(end, 'engine') as number);
  });

  it('serves a worker thread to the end of its job', async () => {
    const end = await runChild('isolated.mjs', ['busy', 'return', file(), 'worker']);
    expect(said(end, 'job'), describeEnd(end)).toBe('done');
    expect(said(end, 'worker')).toBe(0);
    await expectGone(said(end, 'engine') as number);
  });
});
