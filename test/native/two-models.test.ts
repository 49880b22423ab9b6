import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GenerateResult, type Model, type PreviewEvent, type ProgressEvent } from '../../lib/index.js';
import { hashes, rejection, tiny, useModel } from '../support/native.js';

const fixture = useModel();
let other: Model;

beforeAll(async () => {
  other = await fixture.runtime.loadModel({ mmap: true, rng: 'cpu' });
});
afterAll(() => other.dispose({ abort: true }));

interface Watched {
  readonly result: GenerateResult;
  readonly events: readonly ProgressEvent[];
  readonly previews: readonly PreviewEvent[];
  /** Start and end, ms. */
  readonly span: readonly [number, number];
}

async function watch(model: Model, request: object): Promise<Watched> {
  const events: ProgressEvent[] = [];
  const previews: PreviewEvent[] = [];
  const started = performance.now();
  const result = await model.txt2img({
    ...tiny,
    preview: { mode: 'projection' },
    ...request,
    onProgress: (event) => void events.push(event),
    onPreview: (event) => void previews.push(event),
  });
  return { result, events, previews, span: [started, performance.now()] };
}

/** All that a listener learns but the times. */
function told({ events, previews }: Watched): unknown {
  const times = { secondsPerStep: 0, eta: 0 };
  return [
    events.map((event) => ({ ...event, ...times })),
    previews.map(({ preview, ...rest }) => [rest, preview.data]),
  ];
}

describe('two models of one process at work at once', () => {
  // Steps and sizes differ, so that an event that went astray would show.
  const mine = { steps: 6, prompt: 'a red apple', width: 128 };
  const theirs = { steps: 9, prompt: 'a rocket', seed: 77 };

  it('get their own events only, and give the bytes they give alone', async () => {
    const alone = [await watch(fixture.model, mine), await watch(other, theirs)] as const;
    // Prompts come from the cache by now, as they do below: the events can be the same.
    const cached = [await watch(fixture.model, mine), await watch(other, theirs)] as const;
    const together = await Promise.all([watch(fixture.model, mine), watch(other, theirs)]);
    for (const index of [0, 1] as const) {
      expect(hashes(together[index].result)).toEqual(hashes(alone[index].result));
      expect(told(together[index])).toEqual(told(cached[index]));
    }
    const [[startA, endA], [startB, endB]] = [together[0].span, together[1].span];
    expect(Math.max(startA, startB)).toBeLessThan(Math.min(endA, endB));
    expect(together[0].events.every(({ phase, total }) => phase !== 'sample' || total === mine.steps)).toBe(true);
    expect(together[1].events.every(({ phase, total }) => phase !== 'sample' || total === theirs.steps)).toBe(true);
  });

  it('steps of both come mixed: neither waits for the other to end', async () => {
    const order: string[] = [];
    const note =
      (name: string) =>
      ({ phase, step }: ProgressEvent): void => {
        if (phase === 'sample' && step > 0) order.push(name);
      };
    await Promise.all([
      fixture.model.txt2img({ ...tiny, steps: 6, onProgress: note('a') }),
      other.txt2img({ ...tiny, steps: 6, onProgress: note('b') }),
    ]);
    const [firstB, lastA] = [order.indexOf('b'), order.lastIndexOf('a')];
    const [firstA, lastB] = [order.indexOf('a'), order.lastIndexOf('b')];
    expect(firstB).toBeLessThan(lastA);
    expect(firstA).toBeLessThan(lastB);
  });

  it('an abort of one is no abort of the other', async () => {
    const expected = hashes((await watch(other, theirs)).result);
    const controller = new AbortController();
    const reason = new Error('only this one');
    const doomed = fixture.model.txt2img({
      ...tiny,
      steps: 100,
      signal: controller.signal,
      onProgress: ({ phase, step }) => {
        if (phase === 'sample' && step === 2) controller.abort(reason);
      },
    });
    const [error, kept] = await Promise.all([rejection(doomed), watch(other, theirs)]);
    expect(error).toBe(reason);
    expect(hashes(kept.result)).toEqual(expected);
  });

  it('one loads and is disposed of while the other draws', async () => {
    const expected = hashes((await watch(fixture.model, mine)).result);
    const [drawn] = await Promise.all([
      watch(fixture.model, mine),
      (async () => {
        const third = await fixture.runtime.loadModel({ mmap: true });
        await third.dispose();
      })(),
    ]);
    expect(hashes(drawn.result)).toEqual(expected);
    expect(drawn.events.some(({ phase }) => phase === 'load')).toBe(false);
  });
});
