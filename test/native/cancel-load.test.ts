import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel, type ProgressEvent, type Runtime } from '../../lib/index.js';
import { best, slowdown } from '../support/best.js';
import { loadOptions } from '../support/nativeParams.js';
import { hashes, rawAddon, rejection, threads, tiny } from '../support/native.js';

let runtime: Runtime;
let files: { readonly checkpoint: string; readonly taesd: string };

beforeAll(async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  files = { checkpoint, taesd };
  runtime = await createRuntime({ backend: 'cpu', threads });
});
afterAll(() => runtime.dispose({ abort: true }));

const reading = ({ bytes }: { readonly bytes: number }): boolean => bytes > 0;
/** Milliseconds. */
const limit = 100 * slowdown;

describe('abort while loading', () => {
  it('rejects with the reason within 100 ms, and the runtime loads again', async () => {
    const abort = async (): Promise<number> => {
      const controller = new AbortController();
      const reason = new Error('not this one');
      let at = NaN;
      const onProgress = (event: ProgressEvent): void => {
        if (controller.signal.aborted || !reading(event)) return;
        at = performance.now();
        controller.abort(reason);
      };
      expect(await rejection(runtime.loadModel({ ...files, signal: controller.signal, onProgress }))).toBe(reason);
      const took = performance.now() - at;
      expect(runtime.models).toEqual([]);
      return took;
    };
    expect(await best(limit, abort)).toBeLessThan(limit);

    await using model = await runtime.loadModel(files);
    await using embedded = await runtime.loadModel();
    expect(hashes(await model.txt2img(tiny))).toEqual(hashes(await embedded.txt2img(tiny)));
  });

  it('before the start loads nothing', async () => {
    const reason = new Error('early');
    const onProgress = (): void => expect.unreachable('nothing was loaded');
    expect(await rejection(runtime.loadModel({ ...files, signal: AbortSignal.abort(reason), onProgress }))).toBe(
      reason,
    );
  });

  it('by disposing of the runtime with abort', async () => {
    const other = await createRuntime({ backend: 'cpu', threads });
    let disposed: Promise<void> | undefined;
    const onProgress = (event: ProgressEvent): void => {
      if (reading(event)) disposed ??= other.dispose({ abort: true });
    };
    expect(await rejection(other.loadModel({ ...files, onProgress }))).toMatchObject({ code: 'ERR_ABORTED' });
    await disposed;
    expect(other.models).toEqual([]);
  });

  it('stops the native work itself within 100 ms', async () => {
    // The promise above is rejected by TypeScript; this one settles only when the engine has stopped and cleaned up.
    const cancel = async (): Promise<number> => {
      let at = NaN;
      const job = rawAddon().loadModel(loadOptions(files), (event) => {
        if (event.type !== 'progress' || !reading(event) || !Number.isNaN(at)) return;
        at = performance.now();
        job.cancel();
        job.cancel();
      });
      expect(await rejection(job.promise)).toMatchObject({ code: 'ERR_ABORTED' });
      return performance.now() - at;
    };
    expect(await best(limit, cancel)).toBeLessThan(limit);
  });
});
