// One kind of work again and again: `node --expose-gc cycles.mjs KIND COUNT SETTLED FILES`. Reports its memory after
// SETTLED and after COUNT rounds, with all garbage collected.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import { createRuntime } from '../../../dist/index.js';
import { fits, mapped, say } from './common.mjs';

const [kind, count, settled, files] = process.argv.slice(2);
const runtime = await createRuntime({ threads: 1 });
// What is kept on purpose is not looked for here.
const options = { ...mapped(JSON.parse(files)), conditioningCacheBytes: 0 };
const request = { prompt: 'a red apple', steps: 1, cfgScale: 1, ...fits };

const kinds = {
  async generations() {
    const model = await runtime.loadModel(options);
    return (i) => model.txt2img({ ...request, seed: i });
  },
  async loads() {
    return async () => {
      const model = await runtime.loadModel(options);
      await model.dispose();
    };
  },
  async aborts() {
    const model = await runtime.loadModel(options);
    const phases = ['encode', 'sample', 'decode'];
    return async (i) => {
      const controller = new globalThis.AbortController();
      const onProgress = ({ phase }) => phase === phases[i % phases.length] && controller.abort();
      const job = model.txt2img({ ...request, seed: i, signal: controller.signal, onProgress });
      await job.then(
        () => say({ notAborted: i }),
        () => undefined,
      );
      // Waits until the native side has let go.
      await model.sigmas();
    };
  },
};

/**
 * Bytes; finalizers run a little later than the collection itself. Pages that V8 holds and does not use are left out of
 * `anonymous`: it takes and gives some MiB of them as it likes.
 */
async function memory() {
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await sleep(25);
  }
  const kib = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
  const status = readFileSync('/proc/self/status', 'utf8');
  const { external, arrayBuffers, heapUsed } = process.memoryUsage();
  const anonymous = kib('RssAnon') * 1024 - (getHeapStatistics().total_physical_size - heapUsed);
  return { rss: kib('VmRSS') * 1024, anonymous, external, arrayBuffers, heapUsed };
}

const round = await kinds[kind]();
for (let i = 1; i <= Number(count); i++) {
  await round(i);
  if (i === Number(settled) || i === Number(count)) say({ after: i, ...(await memory()) });
}
