import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JobQueue } from '../../lib/pipeline/queue.js';
import { takeTurns, Turn } from '../../lib/pipeline/turn.js';
import { testSeed } from '../support/random.js';

const seed = testSeed('Turns of several models');
const never = new AbortController().signal;
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a turn', () => {
  it('is had by one at a time, first come, first served; giving it back twice is giving it back once', async () => {
    const turn = new Turn();
    const first = turn.tryTake();
    expect(turn.free).toBe(false);
    expect(turn.tryTake()).toBeUndefined();
    const order: number[] = [];
    const waiting = [1, 2, 3].map(async (n) => {
      const release = await turn.take(never);
      order.push(n);
      await tick();
      release();
      release();
    });
    await tick();
    expect(order).toEqual([]);
    first?.();
    first?.();
    // Handed on already: whoever comes now waits.
    expect(turn.tryTake()).toBeUndefined();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
    expect(turn.free).toBe(true);
  });

  it('who aborts while waiting leaves with the reason, and the next one gets it', async () => {
    const turn = new Turn();
    const held = await turn.take(never);
    const controller = new AbortController();
    const aborted = turn.take(controller.signal);
    const next = turn.take(never);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(turn.take(controller.signal)).rejects.toBe(reason);
    held();
    (await next)();
    expect(turn.free).toBe(true);
  });
});

describe('turns of several models', () => {
  it('nobody waits in a circle, nobody meets another, and all are given back: any jobs, any aborts', async () => {
    const jobs = fc.array(
      fc.record({
        /** Sets of models that a job goes through. */
        sets: fc.array(fc.subarray([0, 1, 2, 3], { minLength: 1 }), { minLength: 1, maxLength: 4 }),
        ticks: fc.integer({ min: 0, max: 3 }),
        abortAfter: fc.option(fc.integer({ min: 0, max: 12 })),
      }),
      { minLength: 2, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(jobs, async (list) => {
        const owners = [0, 1, 2, 3].map(() => ({ queue: new JobQueue() }));
        const busy = new Set<number>();
        const work = list.map(async ({ sets, ticks, abortAfter }) => {
          const controller = new AbortController();
          if (abortAfter !== null)
            void (async () => {
              for (let i = 0; i < abortAfter; i++) await tick();
              controller.abort(new Error('aborted'));
            })();
          const taken = new Map<(typeof owners)[number], () => void>();
          try {
            for (const set of sets) {
              for (const release of taken.values()) release();
              taken.clear();
              const wanted = set.map((index) => owners[index]).filter((owner) => owner !== undefined);
              await takeTurns(wanted, controller.signal, taken);
              for (const index of set) {
                expect(busy.has(index)).toBe(false);
                busy.add(index);
              }
              for (let i = 0; i < ticks; i++) await tick();
              for (const index of set) busy.delete(index);
            }
          } catch (error) {
            if (!controller.signal.aborted || error !== controller.signal.reason) throw error;
          } finally {
            for (const release of taken.values()) release();
          }
        });
        await Promise.all(work);
        expect(owners.map(({ queue }) => queue.turn.free)).toEqual([true, true, true, true]);
      }),
      { seed, numRuns: 100 },
    );
  });
});

describe('a queue whose model works for another job', () => {
  it('starts its next job when the turn comes back; until then that one waits', async () => {
    const queue = new JobQueue();
    const states: string[] = [];
    queue.subscribe(({ state, id }) => void states.push(`${state} ${String(id)}`));
    const other = await queue.turn.take(never);
    const job = queue.enqueue('txt2img', {}, () => Promise.resolve(7));
    await tick();
    expect(queue.jobs).toMatchObject([{ position: 0, running: false }]);
    expect(states).toEqual(['queued 1']);
    other();
    expect(await job).toBe(7);
    expect(states).toEqual(['queued 1', 'started 1', 'finished 1']);
  });

  it('a job that aborts, or whose preparation fails, leaves at once; the next one takes its place', async () => {
    const queue = new JobQueue();
    const other = await queue.turn.take(never);
    const controller = new AbortController();
    const reason = new Error('enough');
    const ran: string[] = [];
    const run = (name: string) => () => Promise.resolve(void ran.push(name));
    const aborted = queue.enqueue('txt2img', { signal: controller.signal }, run('aborted'));
    const broken = queue.enqueue(
      'txt2img',
      { ready: tick().then(() => Promise.reject(new Error('no file'))) },
      run('broken'),
    );
    const fine = queue.enqueue('txt2img', {}, run('fine'));
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await expect(broken).rejects.toThrow('no file');
    expect(queue.length).toBe(1);
    other();
    await fine;
    expect(ran).toEqual(['fine']);
    expect(queue.turn.free).toBe(true);
  });

  it('that is closed rejects the one that waits for the turn as well', async () => {
    const queue = new JobQueue();
    const other = await queue.turn.take(never);
    const job = queue.enqueue('txt2img', {}, () => Promise.resolve(1));
    const gone = expect(job).rejects.toThrow('closed');
    await queue.close(() => new Error('closed'));
    await gone;
    other();
    expect(queue.turn.free).toBe(true);
  });

  it('a job that gives its turn back lets others work until it ends; its place in the queue it keeps', async () => {
    const queue = new JobQueue();
    let end = (): void => undefined;
    const done = new Promise<void>((resolve) => (end = resolve));
    const first = queue.enqueue('txt2img', {}, async (_scope, seat) => {
      seat.release();
      await done;
    });
    const second = queue.enqueue('txt2img', {}, () => Promise.resolve(2));
    const other = await queue.turn.take(never);
    expect(queue.jobs.map(({ running }) => running)).toEqual([true, false]);
    end();
    await first;
    await tick();
    expect(queue.jobs.map(({ running }) => running)).toEqual([false]);
    other();
    expect(await second).toBe(2);
  });
});
