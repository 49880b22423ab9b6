// Eight pictures with a hires checkpoint, in one job or in eight.
import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

const { checkpoint, taesd, threads, folder, request, jobs } = JSON.parse(process.argv[2]);
const second = join(folder, 'second.safetensors');
if (!existsSync(second)) copyFileSync(checkpoint, second);
const { createRuntime } = await import('node-diffusion');
const runtime = await createRuntime({ backend: 'cpu', threads });
const start = performance.now();
const model = await runtime.loadModel({ checkpoint, taesd });
let loads = 1;
const switches = [];
// From the end of the last step of the first pass to the beginning of the first step of the second, ms. Latents of one
// space are enlarged in between, and prompts that were encoded before are found again; nothing else is the pass's own.
const between = [];
let last = NaN;
let switched = false;
const onModel = ({ action, ms }) => {
  if (action === 'load') loads++;
  if (action !== 'switch') return;
  switches.push(ms);
  switched = true;
};
const onProgress = ({ phase }) => {
  if (!switched) last = performance.now();
  else if (phase === 'sample' && Number.isFinite(last)) {
    between.push(performance.now() - last);
    last = NaN;
  }
};
const hires = { ...request.hires, checkpoint: second, modules: [taesd] };
for (let job = 0; job < jobs; job++) {
  const seed = request.seed + (job * 8) / jobs;
  switched = false;
  await model.txt2img({ ...request, hires, seed, batchSize: 8 / jobs, onModel, onProgress });
}
const seconds = (performance.now() - start) / 1000;
await runtime.dispose();
console.log(JSON.stringify({ seconds, loads, switches, between }));
