import { utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type Runtime, type RuntimeOptions, type Upscaler } from '../../lib/index.js';
import { crash, expectGone, killed, large, pidOf, small, strike } from '../support/isolation.js';
import { failure, paint, rejection, sha256, threads } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { writeUpscaler } from '../support/upscaler.js';

// Upscalers load in milliseconds; isolation.test.ts does the same to a model once.
const scratch = useScratch(50e6);
const file = (): string => scratch.path('up.safetensors');
const open: Runtime[] = [];
let expected = '';

async function isolated(options: RuntimeOptions = {}): Promise<{ runtime: Runtime; upscaler: Upscaler }> {
  const runtime = await createRuntime({ backend: 'cpu', threads, isolation: 'process', ...options });
  open.push(runtime);
  return { runtime, upscaler: await runtime.loadUpscaler({ file: file() }) };
}

/** A job that has begun. */
async function running(upscaler: Upscaler): Promise<{ job: Promise<unknown> }> {
  const job = upscaler.upscale({ image: large });
  job.catch(() => undefined);
  await sleep(100);
  return { job };
}

async function expectSound(upscaler: Upscaler): Promise<void> {
  expect(sha256((await upscaler.upscale({ image: small })).data)).toBe(expected);
}

beforeAll(async () => {
  await writeUpscaler(file(), { scale: 2, weights: { seed: 3 } });
  await using runtime = await createRuntime({ backend: 'cpu', threads });
  const upscaler = await runtime.loadUpscaler({ file: file() });
  expected = sha256((await upscaler.upscale({ image: small })).data);
});
afterAll(async () => {
  for (const runtime of open) await runtime.dispose({ abort: true });
});

describe('an engine that dies', () => {
  it.each([
    ['SIGABRT', 'aborted (SIGABRT)'],
    ['SIGSEGV', 'a memory fault (SIGSEGV)'],
    ['SIGFPE', 'an arithmetic fault (SIGFPE)'],
    ['SIGILL', 'an illegal instruction (SIGILL)'],
  ] as const)('of %s says so and leaves its log; the next job is sound', async (signal, words) => {
    const { runtime, upscaler } = await isolated();
    const { job } = await running(upscaler);
    const pid = strike(runtime, signal);
    const error = await crash(job);
    expect(error.message).toContain(words);
    expect({ pid: error.pid, signal: error.signal, exitCode: error.exitCode }).toEqual({ pid, signal, exitCode: null });
    expect(error.log[0]).toContain('node-diffusion: the engine stopped: ');
    expect(error.log.join('\n')).toMatch(/last lines of the engine's log:\n.*\n/);
    expect(String((error.cause as Error).message)).toContain('last lines');
    await expectSound(upscaler);
    expect(pidOf(runtime)).not.toBe(pid);
    await expectGone(pid);
  });

  it('while it is idle loses nothing', async () => {
    const { runtime, upscaler } = await isolated();
    await killed(runtime);
    await expectSound(upscaler);
  });

  it('takes the jobs of both its upscalers with it, and both go on', async () => {
    const { runtime, upscaler } = await isolated();
    const other = await runtime.loadUpscaler({ file: file() });
    const jobs = [await running(upscaler), await running(other)];
    const waits = other.upscale({ image: small });
    strike(runtime, 'SIGKILL');
    for (const { job } of jobs) await crash(job);
    expect(sha256((await waits).data)).toBe(expected);
    await expectSound(upscaler);
  });

  it('again and again, while it loads, rejects each job once and recovers', async () => {
    const { runtime, upscaler } = await isolated();
    // Only when it is known to be gone: else the first job may die of this kill, which is none of those counted.
    await killed(runtime);
    let kills = 0;
    const timer = setInterval(() => {
      if (runtime.childPid === undefined) return;
      strike(runtime, 'SIGKILL');
      kills++;
    }, 2);
    for (let job = 0; job < 5; job++) await crash(upscaler.upscale({ image: large }));
    clearInterval(timer);
    expect(kills).toBeGreaterThanOrEqual(5);
    await sleep(50);
    await expectSound(upscaler);
  });

  it('does not take a file for the old one that has changed', async () => {
    const { runtime, upscaler } = await isolated();
    await expectSound(upscaler);
    await utimes(file(), new Date(), new Date(Date.now() + 5000));
    await killed(runtime);
    const error = await failure(upscaler.upscale({ image: small }));
    expect(error.code).toBe('ERR_MODEL_CORRUPT');
    expect(error.message).toContain('changed');
  });
});

describe('an engine that hangs', () => {
  const hangTimeout = 1000;

  it('is ended when it gives no sign of life', async () => {
    const { runtime, upscaler } = await isolated({ isolation: { mode: 'process', hangTimeout } });
    const { job } = await running(upscaler);
    const started = performance.now();
    const pid = strike(runtime, 'SIGSTOP');
    const error = await crash(job);
    expect(error.message).toContain('gave no sign of life for 1 s');
    // The limit, and what a loaded machine takes to notice.
    expect(performance.now() - started).toBeLessThan(10_000);
    await expectGone(pid);
    await expectSound(upscaler);
  });

  it('is ended when it does not let go of an aborted job; the abort itself waits for nothing', async () => {
    const { runtime, upscaler } = await isolated({ isolation: { mode: 'process', hangTimeout } });
    const controller = new AbortController();
    const job = upscaler.upscale({ image: large, signal: controller.signal });
    job.catch(() => undefined);
    await sleep(100);
    const pid = strike(runtime, 'SIGSTOP');
    controller.abort(new Error('mine'));
    expect(await rejection(job)).toBe(controller.signal.reason);
    await expectSound(upscaler);
    expect(pidOf(runtime)).not.toBe(pid);
  });

  it('is not ended while it works, however long a job takes', async () => {
    const timeout = 3000;
    const { upscaler } = await isolated({ isolation: { mode: 'process', hangTimeout: timeout } });
    // One job that lasts longer than the limit on whatever machine this is; a node of its graph takes a part of a second.
    let lasted = 0;
    for (let size = 192; lasted <= timeout; size *= 2) {
      const started = performance.now();
      await upscaler.upscale({ image: paint((x, y) => [x % 256, y % 256, 7], size) });
      lasted = performance.now() - started;
    }
  });

  it('is ended by dispose', async () => {
    const { runtime, upscaler } = await isolated({ isolation: { mode: 'process', hangTimeout } });
    const { job } = await running(upscaler);
    const pid = strike(runtime, 'SIGSTOP');
    await runtime.dispose({ abort: true });
    expect((await failure(job)).code).toBe('ERR_ABORTED');
    await expectGone(pid);
  });
});

describe('the option isolation', () => {
  it.each([
    ['thread', 'isolation'],
    [{ mode: 'process', hangTimeout: 5 }, 'isolation.hangTimeout'],
    [{ mode: 'process', timeout: 5000 }, 'isolation.timeout'],
    [{}, 'isolation.mode'],
  ] as const)('refuses %j', async (isolation, field) => {
    const error = await failure(createRuntime({ isolation: isolation as never }));
    expect([error.code, error.field]).toEqual(['ERR_INVALID_OPTION', field]);
  });
});
