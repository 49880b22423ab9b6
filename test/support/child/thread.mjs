// A worker thread with a model of its own: `workerData` says what it does before it tells its parent `ready`.
import { parentPort, workerData } from 'node:worker_threads';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createRuntime } from '../../../dist/index.js';
import { firstEvent, fits, mapped } from './common.mjs';

const { files, state, end, request } = workerData;
const tell = (message) => parentPort.postMessage(message);

const runtime = await createRuntime({ threads: 1 });
if (state === 'unmapped') {
  const { info } = await runtime.loadModel(files);
  tell({ bytes: info.bytes });
} else if (state !== 'bare') {
  const model = await runtime.loadModel(mapped(files));
  if (state === 'sampling') {
    const step = firstEvent('sample', 1);
    // A listener that is called at every step and a preview: calls into this thread are under way when it ends.
    const preview = { preview: { mode: 'projection', every: 1 }, onPreview: () => tell({ preview: true }) };
    leave(model.txt2img({ prompt: 'a red apple', steps: 200, cfgScale: 1, ...fits, ...preview, onProgress: step.onProgress }));
    await step.seen;
  }
  if (state === 'encoding') {
    const encode = firstEvent('encode', 0);
    leave(model.txt2img({ prompt: 'a red apple', steps: 200, cfgScale: 1, ...fits, onProgress: encode.onProgress }));
    await encode.seen;
  }
  if (state === 'picture') {
    const { images } = await model.txt2img(request);
    tell({ sha256: createHash('sha256').update(images[0].data).digest('hex') });
  }
  if (state === 'disposed') await model.dispose();
}
// An error comes through another port than messages and may overtake them: this one waits for its parent's word.
const told = end === 'throw' ? once(parentPort, 'message') : undefined;
tell({ ready: state });
await told;
if (end === 'exit') process.exit(5);
if (end === 'throw') throw new Error('thrown in the worker on purpose');
// Otherwise the worker ends by itself, if nothing keeps it, or is terminated.

function leave(job) {
  job.catch((error) => tell({ job: error.code ?? error.name }));
}
