import { afterEach, describe, expect, it, vi } from 'vitest';
import type { NativeEvent } from '../../lib/native/contract.js';
import type { PreviewEvent, ProgressEvent } from '../../lib/pipeline/events.js';
import { runMode } from '../../lib/pipeline/modes.js';
import { ProgressTracker, type Stage } from '../../lib/pipeline/progress.js';
import { picture } from '../support/fakeAddon.js';
import { fakePipeline } from '../support/fakeModel.js';

const step = (
  phase: 'encode' | 'sample' | 'decode' | 'tile',
  at: number,
  total: number,
  secondsPerStep = 0,
): NativeEvent => ({
  type: 'progress',
  phase,
  step: at,
  total,
  secondsPerStep,
  bytes: 0,
  totalBytes: 0,
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** A tracker whose clock only the test moves. */
function tracked(
  stages: Stage[],
  images = 1,
): { tracker: ProgressTracker; events: ProgressEvent[]; wait: (seconds: number) => void } {
  const events: ProgressEvent[] = [];
  let now = 0;
  const tracker = new ProgressTracker(stages, images, { onProgress: (event) => void events.push(event) }, () => now);
  return { tracker, events, wait: (seconds) => (now += seconds * 1000) };
}

describe('ProgressTracker', () => {
  it('counts images, never goes back and ends at 1', async () => {
    const stages: Stage[] = [1, 2].flatMap(
      (image) =>
        [
          { phase: 'sample', image, total: 4, weight: 4 },
          { phase: 'decode', image, total: 1, weight: 1 },
        ] as Stage[],
    );
    const { tracker, events } = tracked(stages, 2);
    for (let image = 0; image < 2; image++) {
      await tracker.stage(async (emit) => {
        for (let i = 0; i <= 4; i++) emit(step('sample', i, 4));
      });
      await tracker.stage(async () => undefined);
    }
    expect([...new Set(events.map(({ image, images }) => `${image}/${images}`))]).toEqual(['1/2', '2/2']);
    const fractions = events.map(({ fraction }) => fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions[0]).toBe(0);
    expect(
      events.find(({ image, phase, step: at }) => image === 1 && phase === 'sample' && at === 2)?.fraction,
    ).toBeCloseTo(2 / 10);
    expect(events.at(-1)).toMatchObject({ phase: 'decode', step: 1, total: 1, fraction: 1, eta: 0 });
    const keys = events.map((event) => JSON.stringify(event));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('estimates the rest from what it measured', async () => {
    const stages: Stage[] = [1, 2].flatMap(
      (image) =>
        [
          { phase: 'sample', image, total: 4, weight: 4 },
          { phase: 'decode', image, total: 1, weight: 2 },
        ] as Stage[],
    );
    const { tracker, events, wait } = tracked(stages, 2);
    await tracker.stage(async (emit) => {
      emit(step('sample', 0, 4));
      expect(events.at(-1)?.eta).toBeNull();
      wait(3);
      emit(step('sample', 1, 4, 3));
    });
    // one of four steps took 3 s: 3 steps, 4 steps and, at the same price, 2 decodes of weight 2 are left
    expect(events.find((event) => event.step === 1)).toMatchObject({ eta: 3 * (3 + 4 + 4), secondsPerStep: 3 });
    await tracker.stage(async () => {
      wait(1);
    });
    // now a decode is known to take 1 s; sampling took 3 s for weight 4 in the end
    expect(events.at(-1)?.eta).toBeCloseTo(3 + 1);
  });

  it('keeps the tiles of a preview out of the share of sampling, not of decoding', async () => {
    const { tracker, events } = tracked([
      { phase: 'sample', image: 1, total: 2, weight: 1 },
      { phase: 'decode', image: 1, total: 1, weight: 1 },
    ]);
    await tracker.stage(async (emit) => {
      emit(step('tile', 3, 4));
      expect(events.at(-1)).toMatchObject({ phase: 'tile', fraction: 0 });
    });
    await tracker.stage(async (emit) => {
      emit(step('tile', 1, 4));
      expect(events.at(-1)).toMatchObject({ phase: 'tile', step: 1, total: 4, fraction: 0.5 + 0.5 / 4 });
    });
  });

  it('follows bytes while loading', async () => {
    const { tracker, events } = tracked([{ phase: 'load', image: 0, total: 0, weight: 1 }], 0);
    await tracker.stage(async (emit) => {
      emit({ type: 'progress', phase: 'load', step: 1, total: 10, secondsPerStep: 0, bytes: 25, totalBytes: 100 });
    });
    expect(events.map(({ bytes, fraction }) => [bytes, fraction])).toEqual([
      [0, 0],
      [25, 0.25],
      [100, 1],
    ]);
  });
});

describe('events of a job', () => {
  it('reach their own listener with the image they belong to', async () => {
    const { fake, model } = fakePipeline();
    fake.events = (op) =>
      op === 'sample'
        ? [step('sample', 1, 2), { type: 'preview', step: 1, image: picture(8, 8, 1) }, step('sample', 2, 2)]
        : [];
    const progress: ProgressEvent[] = [];
    const previews: PreviewEvent[] = [];
    const onProgress = (event: ProgressEvent): void => void progress.push(event);
    const onPreview = (event: PreviewEvent): void => void previews.push(event);
    await runMode(model, 'txt2img', {
      prompt: '',
      steps: 2,
      batchSize: 2,
      onProgress,
      onPreview,
      preview: { mode: 'projection', every: 1 },
    });
    expect(previews.map(({ image, images, step: at, total }) => [image, images, at, total])).toEqual([
      [1, 2, 1, 2],
      [2, 2, 1, 2],
    ]);
    expect(previews[0]?.preview.data).toHaveLength(8 * 8 * 3);
    expect(progress.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['encode', 'sample', 'decode']));
    expect(progress.at(-1)?.fraction).toBe(1);
    expect(fake.of('sample')[0]?.params).toMatchObject({ preview: 'proj', previewInterval: 1 });
  });

  it('never cross between two models that work at once', async () => {
    const one = fakePipeline();
    const two = fakePipeline();
    const run = async ({ fake, model }: typeof one, total: number): Promise<number[]> => {
      fake.events = (op) =>
        op === 'sample' ? Array.from({ length: total + 1 }, (_, i) => step('sample', i, total)) : [];
      const totals: number[] = [];
      await runMode(model, 'txt2img', {
        prompt: '',
        steps: total,
        onProgress: (event: ProgressEvent) => void (event.phase === 'sample' && totals.push(event.total)),
      });
      return totals;
    };
    const [first, second] = await Promise.all([run(one, 3), run(two, 5)]);
    expect(new Set(first)).toEqual(new Set([3]));
    expect(new Set(second)).toEqual(new Set([5]));
  });

  it('survive listeners that throw, which become warnings', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { model } = fakePipeline();
    const { images } = await runMode(model, 'txt2img', {
      prompt: '',
      steps: 1,
      onProgress: () => {
        throw new Error('progress bar broke');
      },
      onQueue: () => Promise.reject(new Error('async listener broke')) as never,
    });
    expect(images).toHaveLength(1);
    await new Promise((resolve) => setImmediate(resolve));
    const details = warnings.mock.calls.map(([, options]) => JSON.stringify(options));
    expect(details.some((text) => text.includes('progress bar broke'))).toBe(true);
    expect(details.some((text) => text.includes('async listener broke'))).toBe(true);
  });

  it('makes no previews when nobody looks', async () => {
    const { fake, model } = fakePipeline();
    await runMode(model, 'txt2img', { prompt: '', steps: 1, preview: { mode: 'vae' } });
    expect(fake.of('sample')[0]?.params.preview).toBe('none');
  });
});
