import { afterEach, describe, expect, it, vi } from 'vitest';
import type { QueueEvent } from '../../lib/pipeline/events.js';
import { JobQueue } from '../../lib/pipeline/queue.js';
import type { NativeJob } from '../../lib/native/contract.js';
import { runJob } from '../../lib/native/job.js';
import { until } from '../support/fakeAddon.js';

interface Gate<T> {
  readonly job: NativeJob<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
  readonly cancels: () => number;
}

/** A native job that ends when the test says so; cancelling alone does not end it. */
function gate<T>(): Gate<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  let cancels = 0;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { job: { promise, cancel: () => void cancels++ }, resolve, reject, cancels: () => cancels };
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('runJob', () => {
  it('passes the result on and removes its listener from the signal', async () => {
    const { signal } = new AbortController();
    const removed = vi.spyOn(signal, 'removeEventListener');
    const native = gate<number>();
    const running = runJob(() => native.job, signal);
    native.resolve(7);
    expect(await running.promise).toBe(7);
    await running.settled;
    expect(removed).toHaveBeenCalledWith('abort', expect.any(Function));
  });

  it('rejects at once with exactly the reason, cancels, and settles only when the native side has let go', async () => {
    const controller = new AbortController();
    const native = gate<number>();
    const running = runJob(() => native.job, controller.signal);
    const reason = { why: 'tired' };
    let settled = false;
    void running.settled.then(() => {
      settled = true;
    });
    controller.abort(reason);
    await expect(running.promise).rejects.toBe(reason);
    expect(native.cancels()).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(settled).toBe(false);
    native.reject(Object.assign(new Error('cancelled'), { code: 'ERR_ABORTED' }));
    await running.settled;
  });

  it('never starts under an aborted signal', async () => {
    const reason = new Error('no');
    const start = vi.fn<() => NativeJob<number>>();
    await expect(runJob(start, AbortSignal.abort(reason)).promise).rejects.toBe(reason);
    expect(start).not.toHaveBeenCalled();
  });

  it('hands a result that comes after the abort to the one who frees it', async () => {
    const controller = new AbortController();
    const native = gate<string>();
    const late = vi.fn();
    const running = runJob(() => native.job, controller.signal, late);
    controller.abort();
    await expect(running.promise).rejects.toMatchObject({ name: 'AbortError' });
    native.resolve('model');
    await running.settled;
    expect(late).toHaveBeenCalledWith('model');
  });

  it('turns native errors into typed ones with the code and the cause', async () => {
    const native = gate<number>();
    const running = runJob(() => native.job);
    const cause = Object.assign(new Error('no room'), { code: 'ERR_OUT_OF_MEMORY' });
    native.reject(cause);
    await expect(running.promise).rejects.toMatchObject({ name: 'DiffusionError', code: 'ERR_OUT_OF_MEMORY', cause });
    const broken = (): never => {
      throw new TypeError('bad argument');
    };
    await expect(runJob(broken).promise).rejects.toMatchObject({ code: 'ERR_ENGINE', message: 'bad argument' });
  });
});

describe('JobQueue', () => {
  it('runs jobs one at a time in the order of the calls and tells positions', async () => {
    const queue = new JobQueue();
    const events: string[] = [];
    queue.subscribe(({ id, state, position, length }) => events.push(`${id} ${state} ${position}/${length}`));
    const gates = [gate<string>(), gate<string>(), gate<string>()];
    const order: string[] = [];
    const jobs = gates.map(({ job }, index) =>
      queue.enqueue('txt2img', {}, (scope) => {
        order.push(`start ${index}`);
        return scope.run(() => job);
      }),
    );
    expect(queue.length).toBe(3);
    expect(queue.jobs.map(({ id, position, running }) => [id, position, running])).toEqual([
      [1, 0, true],
      [2, 1, false],
      [3, 2, false],
    ]);
    gates[2]?.resolve('c');
    gates[0]?.resolve('a');
    expect(await jobs[0]).toBe('a');
    await until(() => order.length === 2);
    expect(order).toEqual(['start 0', 'start 1']);
    gates[1]?.resolve('b');
    expect(await Promise.all(jobs)).toEqual(['a', 'b', 'c']);
    await until(() => queue.length === 0);
    expect(events).toEqual([
      '1 queued 0/1',
      '1 started 0/1',
      '2 queued 1/2',
      '3 queued 2/3',
      '1 finished 0/2',
      '2 moved 0/2',
      '3 moved 1/2',
      '2 started 0/2',
      '2 finished 0/1',
      '3 moved 0/1',
      '3 started 0/1',
      '3 finished 0/0',
    ]);
  });

  it('lets the next job start only when the aborted one has let go', async () => {
    const queue = new JobQueue();
    const first = gate<string>();
    const controller = new AbortController();
    const started = vi.fn(() => Promise.resolve('next'));
    const aborted = queue.enqueue('txt2img', { signal: controller.signal }, (scope) => scope.run(() => first.job));
    const next = queue.enqueue('txt2img', {}, started);
    const reason = new Error('stop');
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    expect(first.cancels()).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(started).not.toHaveBeenCalled();
    first.reject(new Error('cancelled'));
    expect(await next).toBe('next');
  });

  it('takes an aborted job out while it waits, without running it', async () => {
    const queue = new JobQueue();
    const first = gate<string>();
    const running = queue.enqueue('txt2img', {}, (scope) => scope.run(() => first.job));
    const controller = new AbortController();
    const work = vi.fn(() => Promise.resolve(1));
    const states: string[] = [];
    const onQueue = (event: QueueEvent): void => void states.push(`${event.state} ${event.position}`);
    const waiting = queue.enqueue('img2img', { signal: controller.signal, onQueue }, work);
    const last = queue.enqueue('txt2img', {}, () => Promise.resolve('last'));
    controller.abort('changed my mind');
    await expect(waiting).rejects.toBe('changed my mind');
    expect(queue.length).toBe(2);
    expect(states).toEqual(['queued 1', 'aborted 0']);
    first.resolve('first');
    expect(await Promise.all([running, last])).toEqual(['first', 'last']);
    expect(work).not.toHaveBeenCalled();
  });

  it('queues nothing under an aborted signal', async () => {
    const queue = new JobQueue();
    const work = vi.fn(() => Promise.resolve(1));
    await expect(queue.enqueue('txt2img', { signal: AbortSignal.abort('no') }, work)).rejects.toBe('no');
    expect(work).not.toHaveBeenCalled();
    expect(queue.length).toBe(0);
  });

  it('drops a waiting job whose preparation fails', async () => {
    const queue = new JobQueue();
    const first = gate<string>();
    const running = queue.enqueue('txt2img', {}, (scope) => scope.run(() => first.job));
    const missing = new Error('no such picture');
    const work = vi.fn(() => Promise.resolve(1));
    await expect(queue.enqueue('img2img', { ready: Promise.reject(missing) }, work)).rejects.toBe(missing);
    expect(queue.length).toBe(1);
    first.resolve('done');
    expect(await running).toBe('done');
    expect(work).not.toHaveBeenCalled();
  });

  it('goes on after a job that failed', async () => {
    const queue = new JobQueue();
    const failing = queue.enqueue('txt2img', {}, () => Promise.reject(new Error('broken')));
    const next = queue.enqueue('txt2img', {}, () => Promise.resolve('fine'));
    await expect(failing).rejects.toThrow('broken');
    expect(await next).toBe('fine');
  });

  it('closes: waits for the running job, rejects the waiting ones and later calls', async () => {
    const queue = new JobQueue();
    const first = gate<string>();
    const running = queue.enqueue('txt2img', {}, (scope) => scope.run(() => first.job));
    const waiting = queue.enqueue('txt2img', {}, () => Promise.resolve('never'));
    let closed = false;
    const closing = queue
      .close(() => new Error('gone'))
      .then(() => {
        closed = true;
      });
    await expect(waiting).rejects.toThrow('gone');
    await expect(queue.enqueue('txt2img', {}, () => Promise.resolve(1))).rejects.toThrow('gone');
    expect(closed).toBe(false);
    first.resolve('done');
    expect(await running).toBe('done');
    await closing;
  });

  it('closes with an abort, also after a close that waits', async () => {
    const queue = new JobQueue();
    const first = gate<string>();
    const running = queue.enqueue('txt2img', {}, (scope) => scope.run(() => first.job));
    const waits = queue.close(() => new Error('gone'));
    const reason = new Error('now');
    const aborts = queue.close(() => new Error('gone'), reason);
    await expect(running).rejects.toBe(reason);
    expect(first.cancels()).toBe(1);
    first.reject(new Error('cancelled'));
    await Promise.all([waits, aborts]);
  });

  it('survives listeners that throw and that enqueue', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const queue = new JobQueue();
    const seen: unknown[] = [];
    let again = true;
    queue.subscribe(({ state }) => {
      if (state === 'started' && again) {
        again = false;
        void queue.enqueue('txt2img', {}, () => Promise.resolve(seen.push('inner')));
      }
      throw new Error('listener');
    });
    await queue.enqueue('txt2img', {}, () => Promise.resolve(seen.push('outer')));
    await until(() => queue.length === 0);
    expect(seen).toEqual(['outer', 'inner']);
    expect(warnings).toHaveBeenCalled();
  });

  it('leaves no listener on the signal', async () => {
    const controller = new AbortController();
    const add = vi.spyOn(controller.signal, 'addEventListener');
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const queue = new JobQueue();
    await queue.enqueue('txt2img', { signal: controller.signal }, () => Promise.resolve(1));
    await queue
      .enqueue('txt2img', { signal: controller.signal }, () => Promise.reject(new Error('x')))
      .catch(() => undefined);
    await until(() => queue.length === 0);
    const removed = new Set(remove.mock.calls.map(([, listener]) => listener));
    expect(add.mock.calls.length).toBeGreaterThan(0);
    expect(add.mock.calls.every(([, listener]) => removed.has(listener))).toBe(true);
  });
});
