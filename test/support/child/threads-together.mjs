// The main thread and two workers load a model each and make the same picture at the same time.
import { createHash } from 'node:crypto';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createRuntime, ensureEmbeddedModel } from '../../../dist/index.js';
import { fits, mapped, say } from './common.mjs';

async function picture(files, from) {
  const runtime = await createRuntime({ threads: 1 });
  const model = await runtime.loadModel(mapped(files));
  const steps = [];
  let late = 0;
  let done = false;
  const { images } = await model.txt2img({
    prompt: 'a red apple',
    steps: 2,
    cfgScale: 1,
    seed: 7,
    ...fits,
    onProgress: ({ phase, step }) => {
      if (phase === 'sample') steps.push(step);
      if (done) late++;
    },
  });
  done = true;
  // Events of threads that still work would arrive now.
  await new Promise((resolve) => setTimeout(resolve, 500));
  return { from, steps, late, sha256: createHash('sha256').update(images[0].data).digest('hex') };
}

if (isMainThread) {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const files = { checkpoint, taesd };
  const inWorker = (from) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { files, from } });
      worker.on('message', resolve);
      worker.on('error', reject);
    });
  for (const line of await Promise.all([inWorker('worker 1'), inWorker('worker 2'), picture(files, 'main')])) say(line);
} else {
  parentPort.postMessage(await picture(workerData.files, workerData.from));
}
