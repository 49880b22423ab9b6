import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRuntime } from 'node-diffusion';

const { checkpoint, taesd, threads, request } = JSON.parse(process.argv[2]);

/** Delays of the event loop while `work` goes on, in milliseconds. */
async function delays(work) {
  const histogram = monitorEventLoopDelay({ resolution: request.resolution });
  histogram.enable();
  await work();
  histogram.disable();
  const ms = (nanoseconds) => nanoseconds / 1e6;
  return { p50: ms(histogram.percentile(50)), p99: ms(histogram.percentile(99)), max: ms(histogram.max) };
}

const runtime = await createRuntime({ backend: 'cpu', threads });
const model = await runtime.loadModel({ checkpoint, taesd });
const idle = await delays(() => sleep(2000));
let events = 0;
const count = () => {
  events++;
};
const busy = await delays(() =>
  model.txt2img({
    ...{ prompt: 'a red apple', seed: 1, width: 128, height: 128, cfgScale: 3, steps: request.steps },
    ...{ sampler: 'euler', schedule: 'discrete', onProgress: count, onPreview: count },
  }),
);
await runtime.dispose();
console.log(JSON.stringify({ idle, busy, events }));
