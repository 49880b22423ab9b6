import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { Latent, type Phase, type ProgressEvent } from '../../lib/index.js';
import { edge, hashes, paint, rejection, seconds, tiny, useModel } from '../support/native.js';

const fixture = useModel();

/** Bytes and slowest evaluation of a request that runs through. */
let expected: string[];
let stepSeconds: number;

beforeAll(async () => {
  let last = 0;
  stepSeconds = 0;
  const request = { ...tiny, steps: 4 };
  expected = hashes(
    await fixture.model.txt2img({
      ...request,
      onProgress: ({ phase }) => {
        if (phase !== 'sample') return;
        const now = performance.now();
        if (last > 0) stepSeconds = Math.max(stepSeconds, (now - last) / 1000);
        last = now;
      },
    }),
  );
});

/** Aborts at the first event that fits; tells when. */
function abortAt(fits: (event: ProgressEvent) => boolean, reason: unknown) {
  const controller = new AbortController();
  const seen: ProgressEvent[] = [];
  let at = NaN;
  return {
    signal: controller.signal,
    seen,
    onProgress: (event: ProgressEvent): void => {
      seen.push(event);
      if (controller.signal.aborted || !fits(event)) return;
      at = performance.now();
      controller.abort(reason);
    },
    /** Seconds since the abort. */
    since: (): number => (performance.now() - at) / 1000,
  };
}

const sampled = ({ phase, step }: ProgressEvent): boolean => phase === 'sample' && step >= 1;

/** The next job waits until the native work of the one before has ended. */
async function untilUsable(): Promise<void> {
  await fixture.model.sigmas({ steps: 2 });
}

/** One evaluation, doubled since the machine may do something else meanwhile, and what a callback takes. */
const bound = (): number => 2 * stepSeconds + 0.1;

async function expectAsBefore(): Promise<void> {
  expect(hashes(await fixture.model.txt2img({ ...tiny, steps: 4 }))).toEqual(expected);
}

// Bounds of time are tried again: another program that holds the processor for a while looks the same from here.
const timed = { retry: 2 } as const;

describe('abort while sampling', timed, () => {
  it('rejects with the reason, stops within one evaluation, and leaves no trace', async () => {
    const reason = { why: 'any value is a reason' };
    const abort = abortAt(sampled, reason);
    const { signal, onProgress } = abort;
    expect(await rejection(fixture.model.txt2img({ ...tiny, steps: 200, signal, onProgress }))).toBe(reason);
    expect(abort.since()).toBeLessThan(bound());
    const events = abort.seen.length;
    await untilUsable();
    expect(abort.since()).toBeLessThan(bound());
    await expectAsBefore();
    expect(abort.seen.length).toBe(events);
  });

  it('in the second image of a batch, with guidance, an ancestral sampler and previews', async () => {
    const reason = new Error('second');
    const abort = abortAt((event) => sampled(event) && event.image === 2, reason);
    const { signal, onProgress } = abort;
    const request = { ...tiny, sampler: 'euler_a', cfgScale: 3, batchSize: 3, onPreview: () => undefined };
    expect(await rejection(fixture.model.txt2img({ ...request, signal, onProgress }))).toBe(reason);
    await untilUsable();
    // Two evaluations a step with guidance, and the preview's decoding.
    expect(abort.since()).toBeLessThan(2 * bound());
    expect(abort.seen.some(({ image }) => image === 3)).toBe(false);
    await expectAsBefore();
  });

  it.each(['heun', 'dpm++2s_a', 'res_2s', 'er_sde', 'lcm'])('by %s', async (sampler) => {
    const reason = new Error(sampler);
    const abort = abortAt(sampled, reason);
    const { signal, onProgress } = abort;
    expect(await rejection(fixture.model.txt2img({ ...tiny, steps: 100, sampler, signal, onProgress }))).toBe(reason);
    await untilUsable();
    expect(abort.since()).toBeLessThan(bound());
  });

  it('in the middle of an evaluation', async () => {
    const controller = new AbortController();
    const reason = Symbol('middle');
    const started = new Promise<void>((resolve) => {
      const onProgress = (event: ProgressEvent): void => {
        if (sampled(event)) resolve();
      };
      fixture.model.txt2img({ ...tiny, steps: 100, signal: controller.signal, onProgress }).catch((error: unknown) => {
        expect(error).toBe(reason);
      });
    });
    await started;
    await sleep((stepSeconds * 1000) / 3);
    const aborted = performance.now();
    controller.abort(reason);
    await untilUsable();
    expect((performance.now() - aborted) / 1000).toBeLessThan(bound());
    await expectAsBefore();
  });

  it('with the reasons that Node makes itself', async () => {
    const byUser = new AbortController();
    const job = fixture.model.txt2img({ ...tiny, steps: 100, signal: byUser.signal });
    byUser.abort();
    expect(await rejection(job)).toMatchObject({ name: 'AbortError' });
    const byTime = AbortSignal.timeout(1);
    expect(await rejection(fixture.model.txt2img({ ...tiny, steps: 100, signal: byTime }))).toBe(byTime.reason);
    await untilUsable();
  });
});

describe('abort elsewhere', timed, () => {
  it('before the start: nothing is queued', async () => {
    const reason = new Error('early');
    const states: string[] = [];
    const signal = AbortSignal.abort(reason);
    const onQueue = ({ state }: { state: string }): void => void states.push(state);
    const { model } = fixture;
    expect(await rejection(model.txt2img({ ...tiny, signal, onQueue }))).toBe(reason);
    expect(await rejection(model.encodePrompt({ prompt: 'x', signal, onQueue }))).toBe(reason);
    expect(await rejection(model.sigmas({ signal, onQueue }))).toBe(reason);
    expect(states).toEqual([]);
    expect(model.queue.length).toBe(0);
  });

  it('while queued: leaves at once, and the running job ends as ever', async () => {
    const { model } = fixture;
    const controller = new AbortController();
    const states: string[] = [];
    const running = model.txt2img({ ...tiny, steps: 4 });
    const waiting = model.txt2img({
      ...tiny,
      signal: controller.signal,
      onQueue: ({ state }) => void states.push(state),
      onProgress: () => expect.unreachable('it never started'),
    });
    const last = model.txt2img({ ...tiny, steps: 4 });
    expect(model.queue.length).toBe(3);
    const reason = new Error('changed my mind');
    const took = await seconds(async () => {
      controller.abort(reason);
      expect(await rejection(waiting)).toBe(reason);
    });
    expect(took).toBeLessThan(0.1);
    expect(model.queue.length).toBe(2);
    expect(states).toEqual(['queued', 'aborted']);
    expect(hashes(await running)).toEqual(expected);
    expect(hashes(await last)).toEqual(expected);
  });

  it('while the prompt is encoded: the same prompt works afterwards', async () => {
    const reason = new Error('prompt');
    const { signal, onProgress } = abortAt(({ phase }) => phase === 'encode', reason);
    const prompt = 'a lemon that nobody has encoded yet';
    expect(await rejection(fixture.model.txt2img({ ...tiny, prompt, signal, onProgress }))).toBe(reason);
    const first = hashes(await fixture.model.txt2img({ ...tiny, prompt }));
    expect(hashes(await fixture.model.txt2img({ ...tiny, prompt }))).toEqual(first);
    await expectAsBefore();
  });

  it.each([
    ['decode', false],
    ['tile', true],
  ] as const)('in phase %s', async (phase: Phase, tiling) => {
    const { model } = fixture;
    const latent = Latent.zeros(edge * 4, edge * 4, model.latentSpace);
    const whole = await seconds(() => model.decodeLatent({ latent, tiling }));
    const reason = new Error(phase);
    const abort = abortAt((event) => event.phase === phase, reason);
    const { signal, onProgress } = abort;
    expect(await rejection(model.decodeLatent({ latent, tiling, signal, onProgress }))).toBe(reason);
    await untilUsable();
    expect(abort.since()).toBeLessThan(Math.max(whole / 2, 0.1));
    await expectAsBefore();
  });

  it('while a picture is encoded', async () => {
    const { model } = fixture;
    const image = paint((x, y) => [x % 256, y % 256, 99], edge * 4);
    const whole = await seconds(() => model.encodeImage({ image }));
    const reason = new Error('picture');
    const abort = abortAt(({ phase }) => phase === 'encode', reason);
    const { signal, onProgress } = abort;
    expect(await rejection(model.encodeImage({ image, signal, onProgress }))).toBe(reason);
    await untilUsable();
    expect(abort.since()).toBeLessThan(Math.max(whole / 2, 0.1));
    await expectAsBefore();
  });

  it('after the end changes nothing', async () => {
    const controller = new AbortController();
    const result = await fixture.model.txt2img({ ...tiny, steps: 4, signal: controller.signal });
    controller.abort();
    expect(hashes(result)).toEqual(expected);
    await expectAsBefore();
  });

  it('one signal for several jobs stops them all', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const jobs = [1, 2, 3].map((seed) => fixture.model.txt2img({ ...tiny, steps: 50, seed, signal }));
    const settled = Promise.allSettled(jobs);
    const reason = new Error('all');
    controller.abort(reason);
    for (const result of await settled) expect(result).toMatchObject({ status: 'rejected', reason });
    await untilUsable();
    expect(fixture.model.queue.length).toBe(0);
    await expectAsBefore();
  });
});
