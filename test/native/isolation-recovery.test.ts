import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRuntime, type Runtime } from '../../lib/index.js';
import { tinyCheckpoint } from '../support/fakeModel.js';
import { crash, killed } from '../support/isolation.js';
import { failure } from '../support/native.js';

// The real program of the engine's process over an addon without an engine, which dies where it is told to.
const binary = fileURLToPath(new URL('../support/child/fake-addon.cjs', import.meta.url));
let directory: string;
let runtime: Runtime | undefined;

const order = (...lines: string[]): void => {
  writeFileSync(join(directory, 'orders'), lines.join('\n'));
};
const calls = (): string[] => readFileSync(join(directory, 'calls'), 'utf8').split('\n').slice(0, -1);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'node-diffusion-test-'));
  writeFileSync(join(directory, 'calls'), '');
  order();
  process.env.ND_FAKE = JSON.stringify({ calls: join(directory, 'calls'), orders: join(directory, 'orders') });
});
afterEach(async () => {
  await runtime?.dispose({ abort: true });
  runtime = undefined;
  rmSync(directory, { recursive: true });
});

async function open(hangTimeout?: number): Promise<Runtime> {
  const isolation = hangTimeout === undefined ? 'process' : ({ mode: 'process', hangTimeout } as const);
  runtime = await createRuntime({ binary, isolation });
  return runtime;
}

const shape = { steps: 1, width: 64, height: 64, cfgScale: 1 };
const first = (latent: { toNative(): { data: Float32Array } }): number | undefined => latent.toNative().data[0];

describe('after a crash', () => {
  it('a conditioning is made again from what it was made of, on the model that is made again, once', async () => {
    const one = await open();
    const model = await one.loadModel({ checkpoint: tinyCheckpoint() });
    using short = await model.encodePrompt({ prompt: 'abc', negativePrompt: null });
    using long = await model.encodePrompt({ prompt: 'abcdefg', negativePrompt: null });
    await killed(one);
    expect(first(await model.sample({ conditioning: long, ...shape }))).toBe(7);
    expect(first(await model.sample({ conditioning: short, ...shape }))).toBe(3);
    expect(first(await model.sample({ conditioning: short, ...shape }))).toBe(3);
    const fresh = calls().slice(calls().lastIndexOf('start') + 1);
    const expected = ['load', 'encode abcdefg', 'sample abcdefg', 'encode abc', 'sample abc', 'sample abc'];
    expect(fresh).toEqual(expected);
  });

  it('nothing is started before it is needed, and nothing for what is disposed of', async () => {
    const one = await open();
    const model = await one.loadModel({ checkpoint: tinyCheckpoint() });
    await killed(one);
    await model.dispose();
    expect(calls().filter((call) => call === 'start')).toHaveLength(1);
    expect(one.childPid).toBeUndefined();
  });

  it('an engine that dies in every load rejects each job once, with one process each', async () => {
    const one = await open();
    const model = await one.loadModel({ checkpoint: tinyCheckpoint() });
    order('die in load');
    await killed(one);
    for (let job = 0; job < 3; job++) await crash(model.sigmas({ steps: 4 }));
    expect(calls().filter((call) => call === 'start')).toHaveLength(4);
    order();
    expect([...(await model.sigmas({ steps: 2 }))]).toEqual([2, 1, 0]);
  });

  it('a job that dies takes its own picture only', async () => {
    const one = await open();
    const model = await one.loadModel({ checkpoint: tinyCheckpoint() });
    using conditioning = await model.encodePrompt({ prompt: 'abc', negativePrompt: null });
    order('die in sample');
    const lost = model.sample({ conditioning, ...shape });
    const waits = model.sample({ conditioning, ...shape });
    const error = await crash(lost);
    order();
    expect(first(await waits)).toBe(3);
    expect(error.log.join('\n')).toContain('printed by the engine');
  });
});

describe('an engine that hangs while its process still answers', () => {
  it('is ended after the time without progress, and the next job has a fresh one', async () => {
    const one = await open(1000);
    const model = await one.loadModel({ checkpoint: tinyCheckpoint() });
    using conditioning = await model.encodePrompt({ prompt: 'abc', negativePrompt: null });
    order('hang in sample');
    const begun = performance.now();
    const error = await crash(model.sample({ conditioning, ...shape }));
    expect(error.message).toContain('made no progress with a job for 1 s');
    expect(performance.now() - begun).toBeGreaterThan(900);
    order();
    expect(first(await model.sample({ conditioning, ...shape }))).toBe(3);
    expect(calls().filter((call) => call === 'start')).toHaveLength(2);
  });

  it('is left alone while its work grows, however long a job takes', async () => {
    const one = await open(1000);
    const model = await one.loadModel({ checkpoint: tinyCheckpoint() });
    using conditioning = await model.encodePrompt({ prompt: 'abc', negativePrompt: null });
    order('work in sample');
    expect(first(await model.sample({ conditioning, ...shape }))).toBe(3);
    expect(calls().filter((call) => call === 'start')).toHaveLength(1);
  });
});

describe('an engine that does not start', () => {
  it('tells why when its addon refuses', async () => {
    order('throw at start');
    const error = await failure(createRuntime({ binary, isolation: 'process' }));
    expect([error.code, error.message]).toEqual(['ERR_BACKEND_UNAVAILABLE', 'no backend here']);
  });

  it('tells how it ended', async () => {
    order('exit at start');
    const error = await crash(createRuntime({ binary, isolation: 'process' }));
    expect([error.exitCode, error.signal]).toEqual([7, null]);
    expect(error.message).toContain('exit code 7');
  });
});

it('what is let go of here is freed there', async () => {
  const one = await open();
  const model = await one.loadModel({ checkpoint: tinyCheckpoint(), conditioningCacheBytes: 0 });
  const conditioning = await model.encodePrompt({ prompt: 'abc', negativePrompt: null });
  conditioning.dispose();
  await model.dispose();
  expect(calls()).toEqual(['start', 'load', 'encode abc', 'drop abc', 'dispose model']);
});
