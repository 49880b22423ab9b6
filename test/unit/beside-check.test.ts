import { describe, expect, it } from 'vitest';
import { besideCheck } from '../../lib/sdk/besideCheck.js';

const never = new AbortController().signal;
const stopped = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });
const refuse = (message: string) => () => Promise.reject(new Error(message));
const unwanted = () => {
  expect.unreachable();
};
const pass = () => Promise.resolve();

describe('work beside its check', () => {
  it('counts when both succeed', async () => {
    await expect(besideCheck(pass, () => Promise.resolve(7), never, unwanted)).resolves.toBe(7);
  });

  it('is aborted by a failed check, whose error is the one that is told', async () => {
    await expect(besideCheck(refuse('check'), stopped, never, unwanted)).rejects.toThrow('check');
    await expect(besideCheck(refuse('check'), refuse('work'), never, unwanted)).rejects.toThrow('check');
  });

  it('is discarded when it ends before the check fails', async () => {
    const discarded: number[] = [];
    const late = () =>
      new Promise<void>((_, reject) =>
        setTimeout(() => {
          reject(new Error('check'));
        }, 5),
      );
    const discard = (value: number) => void discarded.push(value);
    await expect(besideCheck(late, () => Promise.resolve(7), never, discard)).rejects.toThrow('check');
    expect(discarded).toEqual([7]);
  });

  it('fails with its own error when the check passes, and with the reason of the signal', async () => {
    await expect(besideCheck(pass, refuse('work'), never, unwanted)).rejects.toThrow('work');
    const controller = new AbortController();
    const reason = new Error('stop');
    const work = besideCheck(stopped, stopped, controller.signal, unwanted);
    controller.abort(reason);
    await expect(work).rejects.toBe(reason);
    await expect(besideCheck(stopped, stopped, AbortSignal.abort(reason), unwanted)).rejects.toBe(reason);
  });
});
