import { readFileSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel, type Model, type Runtime } from '../../lib/index.js';
import { hashes, threads, tiny } from '../support/native.js';
import { seeded, testSeed } from '../support/random.js';
import { useScratch } from '../support/scratch.js';

const mib = 2 ** 20;
const scratch = useScratch(2 ** 20);
const random = seeded(testSeed('Crossing jobs of the engine'));
const hires = { width: 64, height: 64, denoisingStrength: 0.6, steps: 1, upscaler: 'latent' } as const;

let runtime: Runtime;
/** Of two checkpoints: the same weights under two names, which two models do not know. */
let models: readonly [Model, Model];
let files: readonly [string, string];
let taesd: string;
const loads: string[] = [];
const onModel = ({ action, model }: { action: string; model: string }): void => void loads.push(`${action} ${model}`);

/** Bytes that this process has read from files so far. */
function bytesRead(): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? NaN);
}

beforeAll(async () => {
  const embedded = await ensureEmbeddedModel();
  taesd = embedded.taesd;
  files = [scratch.path('a.safetensors'), scratch.path('b.safetensors')];
  for (const file of files) await symlink(embedded.checkpoint, file);
  runtime = await createRuntime({ backend: 'cpu', threads });
  models = [
    await runtime.loadModel({ checkpoint: files[0], taesd }),
    await runtime.loadModel({ checkpoint: files[1], taesd }),
  ];
});

afterAll(async () => {
  await runtime.dispose({ abort: true });
});

describe('models that were loaded by hand', () => {
  it('are each other’s hires checkpoints and refiners: nothing is read, and the second job reads no byte of a file', async () => {
    const job = { ...tiny, onModel, hires: { ...hires, checkpoint: files[1], modules: [taesd] } };
    const before = bytesRead();
    await models[0].txt2img(job);
    // Headers at most.
    expect(bytesRead() - before).toBeLessThan(8 * mib);
    expect(loads).toEqual(['switch b']);
    const second = bytesRead();
    await models[0].txt2img(job);
    // What is counted here as well: asking for the memory that is free.
    expect(bytesRead() - second).toBeLessThan(mib);
    expect(loads).toEqual(['switch b', 'switch b']);
  });

  it('whose jobs cross, at random and with aborts, make the same bytes as one after the other', async () => {
    const jobs = Array.from({ length: 8 }, (_, index) => {
      const on = random.below(2);
      const kind = random.pick(['hires', 'refiner', 'none'] as const);
      const other = { checkpoint: files[1 - on] ?? '', modules: [taesd] };
      return {
        on,
        aborts: random.below(4) === 0,
        request: {
          ...{ ...tiny, seed: 10 + index },
          ...(kind === 'hires' ? { hires: { ...hires, ...other } } : {}),
          ...(kind === 'refiner' ? { refiner: { ...other, switchAt: 0.5 } } : {}),
        },
      };
    });
    loads.splice(0);
    const results = await Promise.all(
      jobs.map(async ({ on, aborts, request }) => {
        const controller = new AbortController();
        const reason = new Error('enough');
        const running = (models[on] ?? models[0]).txt2img({
          ...{ ...request, onModel, signal: controller.signal },
          onProgress: ({ phase }) => {
            if (aborts && phase === 'sample') controller.abort(reason);
          },
        });
        if (!aborts) return hashes(await running);
        await expect(running).rejects.toBe(reason);
        return undefined;
      }),
    );
    expect(loads.filter((event) => !event.startsWith('switch'))).toEqual([]);
    for (const [index, { on, request }] of jobs.entries()) {
      if (results[index] === undefined) continue;
      expect(results[index]).toEqual(hashes(await (models[on] ?? models[0]).txt2img(request)));
    }
  });

  it('disposed of while a job of another works with it: the job ends with the same bytes, then the weights leave', async () => {
    const job = { ...tiny, hires: { ...hires, checkpoint: files[1], modules: [taesd] } };
    const expected = hashes(await models[0].txt2img(job));
    let disposing: Promise<void> | undefined;
    let both = NaN;
    const result = await models[0].txt2img({
      ...job,
      onModel: ({ action }) => {
        if (action !== 'switch') return;
        both = process.memoryUsage.rss();
        disposing ??= models[1].dispose();
      },
    });
    expect(hashes(result)).toEqual(expected);
    expect(disposing).toBeDefined();
    await disposing;
    expect(both - process.memoryUsage.rss()).toBeGreaterThan(models[1].info.bytes / 2);
    expect(runtime.models).toEqual([models[0]]);
    // A new one is read, since nothing of the old is kept.
    const read = bytesRead();
    models = [models[0], await runtime.loadModel({ checkpoint: files[1], taesd })];
    expect(bytesRead() - read).toBeGreaterThan(models[1].info.bytes / 2);
    expect(hashes(await models[0].txt2img(job))).toEqual(expected);
  });
});
