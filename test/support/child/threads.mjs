// A process with worker threads that end in one way: `node threads.mjs STATE END [AFTER]`. Then the main thread makes
// a picture (AFTER is `picture`), or ends the process in the given way while the workers still run.
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { createRuntime, ensureEmbeddedModel } from '../../../dist/index.js';
import { fits, mapped, say } from './common.mjs';

const [state = '', end = '', after = ''] = process.argv.slice(2);
const { checkpoint, taesd } = await ensureEmbeddedModel();
const files = { checkpoint, taesd };
const request = { prompt: 'a red apple', steps: 2, cfgScale: 1, seed: 7, ...fits };

process.on('exit', (code) => say({ exit: code, at: Date.now() }));

const worker = new Worker(new URL('thread.mjs', import.meta.url), { workerData: { files, state, end, request } });
const ready = new Promise((resolve, reject) => {
  worker.on('message', (message) => {
    if (message.preview === undefined) say({ worker: message });
    if (message.ready !== undefined) resolve();
  });
  worker.on('error', (error) => {
    say({ workerError: error.message });
    reject(error);
  });
});
const ended = new Promise((resolve) => worker.on('exit', resolve));
await ready;
say({ ready: state, at: Date.now() });
worker.postMessage('go');
if (end === 'process.exit') process.exit(3);
if (end === 'terminate') await worker.terminate();
say({ workerExit: await ended, at: Date.now() });
if (after === 'picture') say({ sha256: await picture() });

async function picture() {
  const runtime = await createRuntime({ threads: 1 });
  const model = await runtime.loadModel(mapped(files));
  const { images } = await model.txt2img(request);
  return createHash('sha256').update(images[0].data).digest('hex');
}
