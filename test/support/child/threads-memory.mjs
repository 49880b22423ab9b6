// Worker threads one after the other, each of which loads the model and ends without freeing it: `node threads-memory.mjs END`.
import { Worker } from 'node:worker_threads';
import { createRuntime, ensureEmbeddedModel } from '../../../dist/index.js';
import { say } from './common.mjs';

const [end = ''] = process.argv.slice(2);
const { checkpoint, taesd } = await ensureEmbeddedModel();
await createRuntime();
for (let i = 0; i < 3; i++) {
  const worker = new Worker(new URL('thread.mjs', import.meta.url), {
    workerData: { files: { checkpoint, taesd }, state: 'unmapped', end },
  });
  const ended = new Promise((resolve) => worker.on('exit', resolve));
  const modelBytes = await new Promise((resolve, reject) => {
    worker.on('message', ({ bytes }) => bytes !== undefined && resolve(bytes));
    worker.on('error', reject);
  });
  if (end === 'terminate') await worker.terminate();
  await ended;
  say({ rss: process.memoryUsage.rss(), modelBytes });
}
